"""Clears whose removals are not all written down: the keys are gone already, though they still have entries.

A clear of a million keys is one short commit that names the prefix. What it removed is then written down key by key, in
the order of the keys, in commits of a few hundred beside service. Until that is done, an entry with the prefix that is
not younger than the clear is as good as none.
"""

from kvd.backend.file.engine.interface import Clear, Entry
from kvd.backend.file.store.committed import Committed, Old


class Clears:
    """The clears that are being written down, the oldest first."""

    def __init__(self, clears: list[Clear]) -> None:
        self._left: dict[Clear, int | None] = dict.fromkeys(clears)
        """How many entries each still covers; None for one from before the start, of which that is not known."""
        self.reached = ""
        """The last key that was looked at for the oldest clear."""

    def __bool__(self) -> bool:
        return bool(self._left)

    @property
    def first(self) -> Clear:
        """The clear that is written down now."""
        return next(iter(self._left))

    def covers(self, key: str, state: Old) -> bool:
        """Tell whether the entry of a key was cleared."""
        return isinstance(state, Entry) and self._covering(key, state) is not None

    def _covering(self, key: str, entry: Entry) -> Clear | None:
        for clear in self._left:
            if entry.revision <= clear.revision and key.startswith(clear.prefix):
                return clear
        return None

    def left(self, prefix: str) -> int | None:
        """Return how many entries with a prefix are cleared; None if that is not known."""
        total = 0
        for clear, left in self._left.items():
            if clear.prefix.startswith(prefix):
                if left is None:
                    return None
                total += left
            elif prefix.startswith(clear.prefix):
                return None
        return total

    def follow(self, committed: Committed) -> None:
        """Take over which entries a commit replaced or removed."""
        for key, old, _ in committed.changes:
            if isinstance(old, Entry):
                self.forget(key, old)

    def forget(self, key: str, entry: Entry) -> None:
        """Take note that an entry is no more, in case that it was cleared."""
        if (clear := self._covering(key, entry)) is not None and (left := self._left[clear]) is not None:
            self._left[clear] = left - 1

    def add(self, clear: Clear, entries: int) -> None:
        """Take note of a clear that was committed, and covers so many entries."""
        self._left[clear] = entries

    def go_on(self, reached: str, *, done: bool) -> None:
        """Take note of how far the oldest is written down, and whether that is all."""
        self.reached = reached
        if done:
            del self._left[self.first]
            self.reached = ""
