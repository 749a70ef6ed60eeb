"""The changes that can be asked of a store, already in the store's terms: values are JSON bytes."""

from typing import NamedTuple


class Create(NamedTuple):
    """Create all `items` or none. One item is a create, several are a batch."""

    items: dict[str, bytes]
    ttl: float | None = None
    id: str | None = None
    """`<client>:<number>`; see `kvd.backend.file.store.outcomes`."""


class Delete(NamedTuple):
    """Remove a key."""

    key: str
    id: str | None = None


class Sweep(NamedTuple):
    """Remove up to `most` keys that have expired. Never refused."""

    most: int
    id: None = None


Operation = Create | Delete | Sweep
