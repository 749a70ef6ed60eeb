"""update: another value for a key that exists."""

from typing import Literal

from kvclient.contract.operations.declaration import Changed, Ephemeral, IfRevision, JsonValue, Key, Request, Seconds


class Update(Request):
    """Replace the value of a key that exists; as `put` otherwise. Atomic. KeyNotFoundError if it does not exist."""

    does = "change"
    needs = ("write",)
    concerns = "key"
    reply = Changed

    op: Literal["update"]
    key: Key
    value: JsonValue
    ttl: Seconds | None = None
    keep_ttl: bool = False
    if_revision: IfRevision | None = None
    ephemeral: Ephemeral = False
