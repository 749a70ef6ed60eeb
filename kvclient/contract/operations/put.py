"""put: a key's value, whether it exists or not."""

from typing import Literal

from kvclient.contract.operations.declaration import Changed, Ephemeral, IfRevision, JsonValue, Key, Request, Seconds


class Put(Request):
    """Create a key or replace its value. Atomic.

    Without `ttl` an old one is cleared, unless `keep_ttl`. RevisionMismatchError names the revision asked for and the
    one found (0: the key does not exist).
    """

    does = "change"
    needs = ("write",)
    concerns = "key"
    reply = Changed

    op: Literal["put"]
    key: Key
    value: JsonValue
    ttl: Seconds | None = None
    keep_ttl: bool = False
    if_revision: IfRevision | None = None
    ephemeral: Ephemeral = False
