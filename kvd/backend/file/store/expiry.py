"""When keys expire: a heap of times, so that the next one due is at hand without looking at all keys."""

import heapq
from collections.abc import Iterable

from sortedcontainers import SortedDict

from kvd.backend.file.engine.interface import NEVER, Entry, Put
from kvd.backend.file.store.committed import Committed
from kvd.backend.file.store.order import between

# The heap may hold so many times more entries than there are keys that expire before it is made anew.
_SLACK_FACTOR, _SLACK = 2, 1000


class Expiry:
    """The times at which keys expire. Follows the commits.

    An entry of the heap may be stale, its key deleted or created anew; it is checked against the store when it is due.
    Keys that are due and not swept yet are put into an order when somebody has to count them.
    """

    def __init__(self, expiring: Iterable[tuple[float, str]]) -> None:
        self._heap = list(expiring)
        heapq.heapify(self._heap)
        self._live = len(self._heap)
        self._overdue: SortedDict[str, float] = SortedDict()
        self._taken: SortedDict[str, float] = SortedDict()
        """What a sweep removes that is not written yet."""

    def __len__(self) -> int:
        """Return the number of keys that expire some day."""
        return self._live

    def follow(self, committed: Committed) -> None:
        """Take over what a commit changed."""
        for key, old, new in committed.changes:
            if old is not None and old.expires_at != NEVER:
                self._live = max(0, self._live - 1)  # which one of the heap is stale now shows when it is due
                self._overdue.pop(key, None)
                self._taken.pop(key, None)
            if type(new) is Put and new.expires_at != NEVER:
                heapq.heappush(self._heap, (new.expires_at, key))
                self._live += 1

    def overgrown(self) -> bool:
        """Tell whether so much is stale that the heap should be made anew."""
        return len(self._heap) > _SLACK_FACTOR * self._live + _SLACK

    def next(self) -> float | None:
        """Return the time of the next entry, stale or not; None if there is none."""
        if self._overdue:
            return next(iter(self._overdue.values()))
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> tuple[float, str] | None:
        """Remove and return the next entry that is due at `now`, stale or not."""
        while self._overdue:
            key, expires_at = self._overdue.popitem()
            if expires_at <= now:
                return expires_at, key
            heapq.heappush(self._heap, (expires_at, key))  # the clock was set back since
        if not self._heap or self._heap[0][0] > now:
            return None
        return heapq.heappop(self._heap)

    def put_back(self, entries: Iterable[tuple[float, str]]) -> None:
        """Return what `due` gave."""
        for entry in entries:
            heapq.heappush(self._heap, entry)
            self._taken.pop(entry[1], None)

    def note_taken(self, key: str, expires_at: float) -> None:
        """Take note of an entry that `due` gave and whose removal is on its way, for `overdue`."""
        self._taken[key] = expires_at

    def note_overdue(self, key: str, expires_at: float) -> None:
        """Take note of an entry that `due` gave and that is not stale, for `overdue`. It will be due again."""
        self._overdue[key] = expires_at

    def forget_overdue(self, key: str) -> None:
        """Take note that a key needs no sweep any more, if it was noted as overdue or taken."""
        self._overdue.pop(key, None)
        self._taken.pop(key, None)

    def forget_overdue_from(self, first: str, end: str | None) -> None:
        """Take note that the keys from `first` to before `end` (None: the last) need not be counted any more."""
        for key in list(self._overdue.irange(first, end, inclusive=(True, False))):
            heapq.heappush(self._heap, (self._overdue.pop(key), key))

    def next_unnoted(self, now: float) -> tuple[float, str] | None:
        """Do as `due`, without those that are noted as overdue."""
        if not self._heap or self._heap[0][0] > now:
            return None
        return heapq.heappop(self._heap)

    def overdue(self, first: str, end: str | None) -> int:
        """Return how many keys from `first` to before `end` (None: the last) are noted as overdue, or taken."""
        return between(self._overdue, first, end) + between(self._taken, first, end)


def is_expired(state: Entry | Put, now: float) -> bool:
    """Tell whether a key is invisible at `now`. It is from the instant `expires_at` on."""
    return state.expires_at <= now
