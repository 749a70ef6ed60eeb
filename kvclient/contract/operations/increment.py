"""increment: a number that several processes count with."""

from typing import Annotated, Literal

from pydantic import Field

from kvclient.contract.operations.declaration import Key, Reply, Request, Revision, Seconds

Number = Annotated[int | float, Field(allow_inf_nan=False)]


class IncrementReply(Reply):
    """The reply to increment."""

    value: Annotated[Number, Field(description="The number that the key has now.")]
    revision: Revision


class Increment(Request):
    """Add to a key's number. Atomic. InvalidValueError if its value is no number.

    A key that does not exist gets `initial + by`, and `ttl` if there is one; a key that exists keeps its TTL.
    """

    does = "change"
    needs = ("read", "write")
    concerns = "key"
    reply = IncrementReply

    op: Literal["increment"]
    key: Key
    by: Number = 1
    initial: Number = 0
    ttl: Seconds | None = None
