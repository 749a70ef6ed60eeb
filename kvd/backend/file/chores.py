"""What a store does by itself: removing what expired, was cleared or dropped, or belonged to a process that ended.

Each is an operation like any other, queued before those that wait, and in small portions: a million keys that expire in
the same second hold nobody up.
"""

import math
import time

from kvd.backend.file.committer import Committer
from kvd.backend.file.store.operations.upkeep import Forget, Release, Sweep, WriteDown
from kvd.backend.file.store.store import Store

_RETRY_SECONDS = 1.0
"""Pause after a chore that found no room."""
_SWEEP, _FORGET, _WRITE_DOWN = Sweep(200), Forget(500), WriteDown(300)


class Chores:
    """Sees what is due and queues it."""

    def __init__(self, store: Store, committer: Committer) -> None:
        self._store = store
        self._committer = committer
        self._retry_at = 0.0  # on the monotonic clock: the other one may be set back

    @property
    def stuck(self) -> bool:
        """Whether the last chore found no room, and the next is a moment away."""
        return time.monotonic() < self._retry_at

    def queue(self) -> float | None:
        """Queue what is due, and return in how many seconds something will be; None if nothing is known to be."""
        keys, committer = self._store.keys, self._committer
        due = keys.expiry.next()
        if due is None and not keys.have_chores and not keys.owners:
            return None
        now = time.monotonic()
        if committer.upkeep_waits:
            committer.upkeep_waits = False
            self._retry_at = now + _RETRY_SECONDS
        if now < self._retry_at:
            return self._retry_at - now
        if ended := keys.owners.ended():
            committer.add_upkeep(Release(ended))
        if keys.have_chores:
            committer.add_upkeep(_WRITE_DOWN if keys.clears else _FORGET)
        seconds = math.inf if due is None else due - keys.clock()
        if seconds > 0:
            return seconds
        committer.add_upkeep(_SWEEP)
        return None
