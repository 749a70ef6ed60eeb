"""Clears whose removals are not all written down: the keys are gone already, though they still have entries.

A clear of a million keys is one short commit that names the prefix. What it removed is then written down key by key, in
the order of the keys, in commits of a few hundred beside service. Until that is done, an entry with the prefix that is
not younger than the clear is as good as none.
"""

from kvd.backend.file.engine.interface import Clear, Entry


class Clears:
    """The clears that are being written down, the oldest first."""

    def __init__(self, clears: list[Clear]) -> None:
        self._clears = list(clears)
        self.reached = ""
        """The last key that was looked at for the oldest clear."""

    def __bool__(self) -> bool:
        return bool(self._clears)

    @property
    def first(self) -> Clear:
        """The clear that is written down now."""
        return self._clears[0]

    def covers(self, key: str, entry: Entry) -> bool:
        """Tell whether an entry was cleared."""
        return any(entry.revision <= clear.revision and key.startswith(clear.prefix) for clear in self._clears)

    def follow(self, clear: Clear | None, reached: str | None, cleared: int | None) -> None:
        """Take over what a commit decided, how far it has written down the oldest, and whether that is done."""
        if reached is not None:
            self.reached = reached
        if cleared is not None:
            del self._clears[0]
            self.reached = ""
        if clear is not None:
            self._clears.append(clear)
