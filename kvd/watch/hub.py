"""Watches: each is answered when there is something to tell, or when it has waited long enough.

A watch asks for the events after a revision. They come from the ring, and before that from the backend's history; a
watch for which there are none is parked. The events of one revision are told together, so a revision is all that a
watcher has to remember to miss nothing and be told nothing twice.

Who watches costs the others next to nothing: parked watches are found by the prefix of the key that changed, and where
nobody has watched for a while no events are made.
"""

import heapq
import itertools
import time
from collections.abc import Iterator
from typing import Any

from kvclient.contract.errors import DataStoreError, RevisionGoneError, TooManyWatchersError
from kvd.backend.asking import Asker, prefixes_of
from kvd.backend.feed import Event, Source
from kvd.watch.ring import Ring, Told, encode

MOST_BYTES = 1 << 20
"""Of the events in one reply, unless a single revision has more."""
_IDLE_SECONDS = 600.0
"""So long after the last watch, events are made and kept for who comes back."""
_STEPS = 20
"""Steps through the history between two looks at everything else."""


class Watch:
    """A watch that waits, or is being answered from the history."""

    __slots__ = ("after", "asker", "deadline", "limit", "prefixes")

    def __init__(self, asker: Asker, request: Any, after: int) -> None:
        self.asker = asker
        self.prefixes = prefixes_of(request.prefix)
        self.after = after
        self.limit: int = request.limit
        self.deadline = time.monotonic() + request.wait


class Reading:
    """A watch that is answered from the history."""

    __slots__ = ("events", "history", "size", "until", "watch")

    def __init__(self, watch: Watch, history: Iterator[Event | None], until: int) -> None:
        self.watch = watch
        self.history = history
        self.until = until
        """The history tells everything up to this revision, at least."""
        self.events: list[Told] = []
        self.size = 0


class Hub:
    """All watches of a store."""

    def __init__(self, source: Source, most: int) -> None:
        """At most so many watches wait at a time (setting max_watchers)."""
        self._source = source
        self._most = most
        self._ring: Ring | None = None
        self._parked: dict[Asker, Watch] = {}
        self._by_prefix: dict[str, dict[Asker, Watch]] = {}
        self._lengths: dict[int, int] = {}
        """How many prefixes there are of each length."""
        self._deadlines: list[tuple[float, int, Watch]] = []
        self._numbers = itertools.count()
        self._reading: dict[Asker, Reading] = {}
        self._idle_at = 0.0
        self.events = 0
        """How many were told."""

    def __len__(self) -> int:
        """Return how many watches wait."""
        return len(self._parked) + len(self._reading)

    def has(self, asker: Asker) -> bool:
        """Tell whether a peer's watch waits."""
        return asker in self._parked or asker in self._reading

    def watch(self, request: Any, asker: Asker) -> None:
        """Answer a watch, or park it. Raises the errors of a watch that is refused."""
        revision = self._source.revision
        after = revision if request.after is None else request.after
        if after > revision:
            raise RevisionGoneError(
                f"The store is at revision {revision}, and revision {after} is not one of its own: it has lost its "
                f"latest changes, or is another store. Watch from revision {revision} on."
            )
        if len(self) >= self._most:
            raise TooManyWatchersError(
                f"{self._most} watches wait already, the limit (setting max_watchers). Try again later, or raise it."
            )
        ring = self._ring
        if ring is None:
            ring = self._ring = Ring(revision)
            self._source.tell(self._told)
        watch = Watch(asker, request, after)
        self._idle_at = watch.deadline + _IDLE_SECONDS
        if after < ring.since:
            self._read_history(watch)
        else:
            self._answer_or_park(watch)

    def gone(self, asker: Asker) -> None:
        """Forget the watch of a peer that is gone."""
        if (watch := self._parked.get(asker)) is not None:
            self._unpark(watch)
        self._reading.pop(asker, None)

    def end(self, asker: Asker) -> None:
        """Answer a peer's watch, if it has one, with nothing and the revision to ask on from: may it ask on?"""
        if (watch := self._parked.get(asker)) is not None:
            self._unpark(watch)
            self._answer(watch, [], self._source.revision)
        elif (reading := self._reading.pop(asker, None)) is not None:
            self._answer(reading.watch, [], reading.watch.after)

    # From the ring.

    def _answer_or_park(self, watch: Watch) -> None:
        events, revision = self._from_ring(watch)
        if events or watch.deadline <= time.monotonic():
            self._answer(watch, events, revision)
        else:
            self._park(watch)

    def _from_ring(self, watch: Watch) -> tuple[list[Told], int]:
        """Return a reply's events for a watch, and the revision up to which they tell."""
        ring = self._ring
        assert ring is not None
        events: list[Told] = []
        size, position = 0, ring.after(watch.after)
        while (event := ring.at(position)) is not None:
            if events and event.revision != events[-1].revision and is_full(watch, len(events), size):
                return events, events[-1].revision
            if event.key.startswith(watch.prefixes):
                events.append(event)
                size += len(event.body)
            position += 1
        return events, self._source.revision

    def _answer(self, watch: Watch, events: list[Told], revision: int) -> None:
        self.events += len(events)
        body = b",".join(event.body for event in events)
        watch.asker.reply(b'{"ok":true,"events":[%s],"revision":%d}' % (body, revision))

    # Parked.

    def _park(self, watch: Watch) -> None:
        self._parked[watch.asker] = watch
        for prefix in watch.prefixes:
            watches = self._by_prefix.get(prefix)
            if watches is None:
                watches = self._by_prefix[prefix] = {}
                length = len(prefix)
                self._lengths[length] = self._lengths.get(length, 0) + 1
            watches[watch.asker] = watch
        heapq.heappush(self._deadlines, (watch.deadline, next(self._numbers), watch))

    def _unpark(self, watch: Watch) -> None:
        del self._parked[watch.asker]
        for prefix in watch.prefixes:
            watches = self._by_prefix[prefix]
            del watches[watch.asker]
            if not watches:
                del self._by_prefix[prefix]
                length = len(prefix)
                self._lengths[length] -= 1
                if not self._lengths[length]:
                    del self._lengths[length]
        if len(self._deadlines) > 2 * len(self._parked) + 1000:
            self._deadlines = [entry for entry in self._deadlines if self._parked.get(entry[2].asker) is entry[2]]
            heapq.heapify(self._deadlines)

    def _told(self, events: list[Event]) -> None:
        """Take the events of a commit and answer those that wait for them."""
        assert self._ring is not None
        told = self._ring.add(events)
        if not self._parked:
            return
        answers: dict[Asker, list[Told]] = {}
        for event in told:
            for length in self._lengths:
                for asker in self._by_prefix.get(event.key[:length], ()) if length <= len(event.key) else ():
                    answers.setdefault(asker, []).append(event)
        for asker, found in answers.items():
            watch = self._parked[asker]
            self._unpark(watch)
            self._answer(watch, *_first_page(watch, found, events[-1].revision))

    # From the history.

    def _read_history(self, watch: Watch) -> None:
        first = self._source.told_from
        if watch.after < first:
            raise RevisionGoneError(
                f"The changes after revision {watch.after} are no longer all known, those after revision {first} are. "
                f"Read the keys anew and watch from revision {first} or later."
            )
        reading = Reading(watch, self._source.history(watch.after), self._source.revision)
        self._reading[watch.asker] = reading

    def _read_on(self, reading: Reading) -> None:
        """Go some steps through the history for a watch."""
        watch, events = reading.watch, reading.events
        try:
            for _ in range(_STEPS):
                event = next(reading.history)
                if event is None:
                    return
                last = events[-1].revision if events else event.revision
                if event.revision != last and is_full(watch, len(events), reading.size):
                    self._finish_reading(reading, last)
                    return
                if event.key.startswith(watch.prefixes):
                    told = Told(event.revision, event.key, encode(event))
                    events.append(told)
                    reading.size += len(told.body)
        except StopIteration:
            self._finish_reading(reading, max(reading.until, events[-1].revision if events else 0))
        except DataStoreError as error:
            del self._reading[watch.asker]
            watch.asker.refuse(error)

    def _finish_reading(self, reading: Reading, revision: int) -> None:
        """Answer a watch with what was found up to a revision; if that is nothing, go on behind it."""
        watch = reading.watch
        del self._reading[watch.asker]
        if reading.events:
            self._answer(watch, reading.events, revision)
            return
        watch.after = revision
        assert self._ring is not None
        if revision >= self._ring.since:
            self._answer_or_park(watch)
            return
        try:
            self._read_history(watch)  # the ring has dropped what came meanwhile
        except DataStoreError as error:  # and a compaction has taken it
            watch.asker.refuse(error)

    # For the loop.

    def work(self) -> float:
        """Answer what has waited long enough, and return in how many seconds to call again."""
        if self._ring is None:
            return _IDLE_SECONDS
        for reading in list(self._reading.values()):
            self._read_on(reading)
        now = time.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            watch = heapq.heappop(self._deadlines)[2]
            if self._parked.get(watch.asker) is watch:
                self._unpark(watch)
                self._answer(watch, [], self._source.revision)
        if not len(self) and now >= self._idle_at:
            self._source.tell(None)
            self._ring = None
        if self._reading:
            return 0.0
        return max(0.0, self._deadlines[0][0] - now) if self._deadlines else _IDLE_SECONDS

    def close(self) -> None:
        """Answer all that wait with nothing, and the revision to ask on from."""
        for asker in [*self._parked, *self._reading]:
            self.end(asker)


def is_full(watch: Watch, count: int, size: int) -> bool:
    """Tell whether a reply with `count` events of `size` bytes should end with the revision that it is at."""
    return count >= watch.limit or size >= MOST_BYTES


def _first_page(watch: Watch, events: list[Told], revision: int) -> tuple[list[Told], int]:
    """Return as many of a commit's events as fit a reply, and the revision up to which they tell."""
    size = 0
    for position, event in enumerate(events):
        last = events[position - 1].revision
        if position and event.revision != last and is_full(watch, position, size):
            return events[:position], last
        size += len(event.body)
    return events, revision
