"""History: the file is the log, and tells what became of each key since a revision.

Three passes, in short steps. The first finds where the told part begins, and which keys change in it. The second finds
what each of these was before. The third tells. Values are read where they lie, when they are told; what is held in
memory is one place for each key that changes, and the removals that are written late.

A removal is late if a commit decides it (see `Clear`) and a later one writes it down: its revision is then not above
that of the commit before the one that it is in. It is told with the commit that decided it.
"""

import os
from collections import deque
from collections.abc import Iterator
from heapq import merge
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from kvclient.contract.errors import RevisionGoneError, StoreCorruptError
from kvd.backend.feed import Event
from kvd.backend.file.engine.footnote import read_footnote, removals
from kvd.backend.file.engine.format import HEADER, PAGE, Found, rows
from kvd.backend.file.engine.interface import History
from kvd.backend.file.engine.scan import commits

# A step reads so many bytes or entries, whichever comes first: one or two milliseconds' work.
_STEP_BYTES, _STEP_ENTRIES = 256 * 1024, 500

Place = tuple[int, int]
"""Offset and length of a value."""


class _Change(NamedTuple):
    """A change as a commit has it."""

    revision: int
    key: str
    place: Place | None
    """Of the value; None if the key was removed."""
    kind: str
    """Of a removal."""
    late: bool


def history(path: Path, open_fd: int, end: int, history_from: int, after: int) -> History:
    """Yield the events of revisions above `after` in the file of `open_fd` up to offset `end`; see `Engine.history`."""
    if after < history_from:
        raise RevisionGoneError(
            f"The changes since revision {after} are no longer all kept: the data file {path} has been compacted, and "
            f"has those since revision {history_from}. Read what is there now, and watch from its revision on."
        )
    fd = os.dup(open_fd)
    try:
        yield from _Reader(fd, path, end, after).tell()
    finally:
        os.close(fd)


class _Reader:
    """One file on its way to being told."""

    def __init__(self, fd: int, path: Path, end: int, after: int) -> None:
        self._fd = fd
        self._path = path
        self._end = end
        self._after = after
        self._begin = end
        """Where the commits begin that have something to tell."""
        self._before = 0
        """The revision of the commit before that place."""
        self._places: dict[str, Place | None] = {}
        """What each key that changes was before what is told next."""
        self._late: deque[_Change] = deque()
        """Removals that are written late, by revision."""

    def tell(self) -> History:
        """Go through the passes."""
        yield from self._find_changes()
        if self._places:
            yield from self._find_places()
            yield from self._tell_events()

    def _find_changes(self) -> Iterator[None]:
        late: list[_Change] = []
        revision = 0
        for commit in self._commits(len(HEADER), self._end):
            if commit is None:
                yield None
                continue
            if commit.revision > self._after:
                if self._begin == self._end:
                    self._begin, self._before = commit.start, revision
                for change in self._changes(commit, revision):
                    if change is None:
                        yield None
                        continue
                    self._places[change.key] = None
                    if change.late:
                        late.append(change)
            revision = commit.revision
        self._late.extend(sorted(late, key=attrgetter("revision")))

    def _find_places(self) -> Iterator[None]:
        for commit in self._commits(len(HEADER), self._begin):
            if commit is None:
                yield None
                continue
            for number, (key, offset, length, revision, *_) in enumerate(rows(commit), 1):
                if key in self._places:
                    self._places[key] = (offset, length) if revision else None
                if number % _STEP_ENTRIES == 0:
                    yield None

    def _tell_events(self) -> History:
        revision = self._before
        for commit in self._commits(self._begin, self._end):
            if commit is None:
                yield None
                continue
            time = float(commit.time or b"0")
            for change in self._decided(commit, revision):
                if change is None:
                    yield None
                    continue
                previous = self._places[change.key]
                self._places[change.key] = change.place
                if change.revision > self._after:
                    yield self._event(change, previous, time)
            revision = commit.revision

    def _decided(self, commit: Found, before: int) -> Iterator[_Change | None]:
        """Yield the changes that a commit decided, be they written in it or later, with None between steps."""
        written = (change for change in self._changes(commit, before) if change is None or not change.late)
        if not self._late or self._late[0].revision > commit.revision:
            return written
        late = []
        while self._late and self._late[0].revision <= commit.revision:
            late.append(self._late.popleft())
        return merge(late, filter(None, written), key=attrgetter("revision"))

    def _event(self, change: _Change, previous: Place | None, time: float) -> Event:
        value = None if change.place is None else self._value(change.place)
        kind = change.kind if change.place is None else "created" if previous is None else "updated"
        before = None if previous is None else self._value(previous)
        return Event(kind, change.key, value, before, change.revision, time)

    def _changes(self, commit: Found, before: int) -> Iterator[_Change | None]:
        """Yield the changes of a commit, whose predecessor had revision `before`, with None between steps."""
        # No other line ends like this: a value is followed by a brace.
        count = commit.body.count(b":null\n")
        removed = iter(removals(read_footnote(commit.body), count, commit.revision))
        for number, (key, offset, length, revision, *_) in enumerate(rows(commit), 1):
            if revision:
                yield _Change(revision, key, (offset, length), "", late=False)
            else:
                at, kind = next(removed)
                yield _Change(at, key, None, kind, late=at <= before)
            if number % _STEP_ENTRIES == 0:
                yield None

    def _commits(self, start: int, stop: int) -> Iterator[Found | None]:
        """Yield the commits from `start` to `stop`, with None between steps."""
        position = told = start
        for number, commit in enumerate(commits(self._fd, start, stop, _STEP_BYTES), 1):
            yield commit
            position = commit.stop
            if position - told >= _STEP_BYTES or number % _STEP_ENTRIES == 0:
                told = position
                yield None
        spaces = stop - position
        if spaces > PAGE or os.pread(self._fd, spaces, position) != b" " * spaces:
            raise self._interfered()

    def _value(self, place: Place) -> bytes:
        offset, length = place
        value = os.pread(self._fd, length, offset)
        if len(value) != length:
            raise self._interfered()
        return value

    def _interfered(self) -> StoreCorruptError:
        return StoreCorruptError(
            f"The data file {self._path} no longer holds what was in it: "
            "another program cut it, or wrote to it, while it was open."
        )
