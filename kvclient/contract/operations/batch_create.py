"""batch_create: several new keys, all or none."""

from typing import Literal

from kvclient.contract.operations.declaration import Changed, JsonValue, Key, Request, Seconds


class BatchCreate(Request):
    """Create several keys, all or nothing, in one commit. Any error names every offending key."""

    does = "change"
    needs = ("write",)
    concerns = "items"
    reply = Changed

    op: Literal["batch_create"]
    items: dict[Key, JsonValue]
    ttl: Seconds | None = None
