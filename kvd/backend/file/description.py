"""A store on a file, as people are told of it."""

from typing import Any

from kvd.backend.file.store.store import Store
from kvd.histogram import BOUNDS

_SMALL_BYTES = 256
"""What a small value needs in the file, with its key and its share of a commit."""


def describe(store: Store) -> dict[str, Any]:
    """Return what the status tells of the file."""
    engine = store.engine
    return {
        "backend": "file",
        "file": str(engine.path),
        "file_bytes": engine.size,
        "live_bytes": engine.live_bytes,
        "max_file_bytes": store.limits.max_file_bytes,
        "full": engine.room(removing=False) + engine.reclaimable < _SMALL_BYTES,
        "keys": len(store.keys),
        "revision": engine.revision,
    }


def statistics(store: Store) -> dict[str, Any]:
    """Return how much there is."""
    engine, keys = store.engine, store.keys
    return {
        "expired": keys.removed["expired"],
        "released": keys.removed["released"],
        "keys": len(keys),
        "expiring": len(keys.expiry),
        "ephemeral": len(keys.owners),
        "revision": engine.revision,
        "file_bytes": engine.size,
        "live_bytes": engine.live_bytes,
        "garbage_bytes": engine.reclaimable,
        "free_bytes": max(0, engine.room(removing=False)),
        "compactions": store.compactions,
        "compaction_seconds": round(store.compaction_seconds, 6),
        "latency_bounds": BOUNDS,
    }
