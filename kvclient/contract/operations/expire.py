"""expire: another time to live for a key, or none."""

from typing import Literal

from kvclient.contract.operations.declaration import Changed, Key, Request, Seconds


class Expire(Request):
    """Let a key expire `ttl` seconds from now; null: never. Atomic. KeyNotFoundError if it does not exist."""

    does = "change"
    needs = ("write",)
    concerns = "key"
    reply = Changed

    op: Literal["expire"]
    key: Key
    ttl: Seconds | None
