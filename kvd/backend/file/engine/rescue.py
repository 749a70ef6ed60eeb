"""Saving what is known of a data file that another program interfered with."""

import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from kvclient.contract.errors import DataStoreError
from kvd.backend.file.engine.conversion import aside
from kvd.backend.file.engine.index import Index
from kvd.backend.file.engine.interface import Clear, Entry, Put
from kvd.backend.file.engine.snapshot import Snapshot

log = logging.getLogger(__name__)


def rescue(
    path: Path,
    revision: int,
    index: Index,
    clears: Sequence[Clear],
    read: Callable[[Entry], bytes],
    alive: Callable[[], None],
) -> Path:
    """Write a data file beside `path` with every entry whose value can still be read, and return its path.

    Takes long, with `alive` called all the while. Raises `OSError`, with nothing left behind.
    """
    target = aside(path, "rescued")
    snapshot = Snapshot(target, revision)
    lost = 0
    try:
        for key in index.keys():  # noqa: SIM118  # a copy
            alive()
            entry = index.find(key)
            assert entry is not None
            try:
                value = read(entry)
                json.loads(value)
            except (DataStoreError, ValueError, RecursionError):
                lost += 1
            else:
                snapshot.add(key, Put(value, entry.revision, entry.expires_at, index.owner(key)))
        snapshot.finish({}, clears)
        snapshot.close_object()
        snapshot.publish(target)
    except BaseException:
        snapshot.discard()
        raise
    os.close(snapshot.fd)
    log.error("saved %d keys to %s (%d could no longer be read)", len(index) - lost, target, lost)
    return target
