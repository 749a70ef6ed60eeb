"""pop: read and delete."""

from typing import Literal

from kvclient.contract.operations.declaration import IfRevision, JsonValue, Key, Reply, Request, Revision


class PopReply(Reply):
    """The reply to pop."""

    value: JsonValue
    revision: Revision


class Pop(Request):
    """Remove a key and return the value that it had. Atomic. Raises as delete does."""

    does = "change"
    needs = ("read", "write")
    concerns = "key"
    frees = True
    reply = PopReply

    op: Literal["pop"]
    key: Key
    if_revision: IfRevision | None = None
