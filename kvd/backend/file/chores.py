"""What a store does by itself: removing what expired, was cleared or dropped, or belonged to a process that ended.

Each is an operation like any other, queued before those that wait, and in small portions: a million keys that expire in
the same second hold nobody up.
"""

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

    def queue(self) -> None:
        """Queue what is due, unless it is queued or under way already."""
        keys, committer = self._store.keys, self._committer
        if committer.upkeep_waits:
            committer.upkeep_waits = False
            self._retry_at = time.monotonic() + _RETRY_SECONDS
        if time.monotonic() < self._retry_at:
            return
        due = self._store.next_expiry()
        if due is not None and due <= keys.clock():
            committer.add_upkeep(_SWEEP)
        for owner in keys.owners.ended():
            committer.add_upkeep(Release(owner))
        if keys.clears:
            committer.add_upkeep(_WRITE_DOWN)
        if keys.dropped(1):
            committer.add_upkeep(_FORGET)

    def timeout(self) -> float | None:
        """Return in how many seconds something is due; None if nothing is, or it is queued already."""
        keys, committer = self._store.keys, self._committer
        seconds: list[float] = []
        if (keys.clears and not committer.has_upkeep("write_down")) or (
            keys.dropped(1) and not committer.has_upkeep("forget")
        ):
            seconds.append(0.0)
        due = self._store.next_expiry()
        if due is not None and not committer.has_upkeep("sweep"):
            seconds.append(due - keys.clock())
        return max(min(seconds), self._retry_at - time.monotonic(), 0.0) if seconds else None
