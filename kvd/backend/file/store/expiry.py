"""When keys expire: a heap of times, so that the next one due is at hand without looking at all keys."""

import heapq
import math
from collections.abc import Iterable

from kvd.backend.file.engine.interface import Entry

# The heap may hold so many times more entries than there are keys that expire before it is made anew.
_SLACK_FACTOR, _SLACK = 2, 1000


class Expiry:
    """The times at which keys expire.

    An entry of the heap may be stale, its key deleted or created anew; it is checked against the store when it is due.
    """

    def __init__(self, expiring: Iterable[tuple[float, str]]) -> None:
        self._heap = list(expiring)
        heapq.heapify(self._heap)
        self._live = len(self._heap)
        self._dropped_until = -math.inf

    def __len__(self) -> int:
        """Return the number of keys that expire some day."""
        return self._live

    def add(self, key: str, expires_at: float) -> None:
        """Note a key that expires."""
        heapq.heappush(self._heap, (expires_at, key))
        self._live += 1

    def discard(self) -> None:
        """Note that one of the keys is gone or has another time; which one shows when it is due."""
        self._live = max(0, self._live - 1)

    def drop(self, until: float) -> None:
        """Note that all keys are gone that had expired at `until`; how many shows when they are due.

        One that was discarded before counts twice then. Too low a count is put right when the heap is made anew.
        """
        self._dropped_until = max(self._dropped_until, until)

    def overgrown(self) -> bool:
        """Tell whether so much is stale that the heap should be made anew."""
        return len(self._heap) > _SLACK_FACTOR * self._live + _SLACK

    def next(self) -> float | None:
        """Return the time of the next entry, stale or not; None if there is none."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> tuple[float, str] | None:
        """Remove and return the next entry that is due at `now`, stale or not."""
        if not self._heap or self._heap[0][0] > now:
            return None
        if self._heap[0][0] <= self._dropped_until:
            self.discard()
        return heapq.heappop(self._heap)

    def put_back(self, entries: Iterable[tuple[float, str]]) -> None:
        """Return what `due` gave."""
        for entry in entries:
            heapq.heappush(self._heap, entry)


def is_expired(entry: Entry, now: float) -> bool:
    """Tell whether an entry is invisible at `now`. It is from the instant `expires_at` on."""
    return entry.expires_at <= now
