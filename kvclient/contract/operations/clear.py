"""clear: all keys with a prefix."""

from typing import Annotated, Literal

from pydantic import Field

from kvclient.contract.operations.declaration import Prefix, Reply, Request, Revision


class ClearReply(Reply):
    """The reply to clear."""

    deleted: Annotated[int, Field(description="How many keys there were.")]
    revision: Revision


class Clear(Request):
    """Remove all keys that begin with `prefix`. Atomic, however many there are."""

    does = "change"
    needs = ("write",)
    concerns = "prefix"
    frees = True
    reply = ClearReply

    op: Literal["clear"]
    prefix: Prefix = ""
