"""create: a new key."""

from typing import Literal

from kvclient.contract.operations.declaration import Changed, Ephemeral, JsonValue, Key, Request, Seconds


class Create(Request):
    """Store a value under a key that does not exist. Atomic. KeyExistsError if it exists."""

    does = "change"
    needs = ("write",)
    concerns = "key"
    reply = Changed

    op: Literal["create"]
    key: Key
    value: JsonValue
    ttl: Seconds | None = None
    ephemeral: Ephemeral = False
