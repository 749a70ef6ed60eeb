"""What a data file holds, read from its commits without opening it as a store: for backups, and to restore them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from kvclient.contract.errors import StoreCorruptError
from kvd.backend.file.engine.footnote import NO_FOOTNOTE, read_footnote
from kvd.backend.file.engine.format import HEADER, Found, rows
from kvd.backend.file.engine.index import Index
from kvd.backend.file.engine.interface import Clear, Entry, Outcome, Put
from kvd.backend.file.engine.load import note_clears
from kvd.backend.file.engine.outcomes import Outcomes
from kvd.backend.file.engine.scan import commits, damage_at, has_header, walk


class Content:
    """The entries of a data file up to some commit. The caller keeps the file open."""

    def __init__(self, fd: int, path: Path) -> None:
        """Begin before the first commit. Raises `StoreCorruptError` if the file does not begin as a data file."""
        if not has_header(fd):
            raise StoreCorruptError(f"{path} is not a data file of kvd's, or its beginning is damaged.")
        self._fd = fd
        self._path = path
        self._index = Index()
        self._outcomes = Outcomes()
        self._clears: list[Clear] = []
        self.end = len(HEADER)
        """Offset behind the last commit that was read."""
        self.revision = 0

    @classmethod
    def whole(cls, fd: int, path: Path) -> Self:
        """Return all that a file holds that nobody writes to; a torn tail is left out.

        Raises `StoreCorruptError`, with the place, if it is damaged.
        """
        content = cls(fd, path)
        content.read_on()
        damage = damage_at(fd, content.end, os.fstat(fd).st_size, content.revision)
        if damage is not None and not damage.torn:
            raise StoreCorruptError(
                f"The data file {path} has {damage}. Nothing was done; 'kvd check {path}' tells more.", damage.keys
            )
        return content

    def read_on(self, *, past_damage: bool = False) -> None:
        """Read the whole commits that follow, up to damage or past it."""
        size = os.fstat(self._fd).st_size
        for commit in commits(self._fd, self.end, size):
            self._take(commit)
        if past_damage:
            for found in walk(self._fd, size, self.end, self.revision):
                if isinstance(found, Found):
                    self._take(found)

    def _take(self, commit: Found) -> None:
        try:
            self._index.fill(rows(commit))
            footnote = read_footnote(commit.body) or NO_FOOTNOTE
        except (ValueError, OverflowError, RecursionError) as error:
            raise StoreCorruptError(f"The data file {self._path} has a commit that cannot be read: {error}.") from None
        note_clears(self._clears, footnote)
        if commit.ids is not None:
            self._outcomes.add(commit.ids, footnote.results)
        self.end, self.revision = commit.stop, commit.revision

    def __len__(self) -> int:
        """Return how many keys there are, expired ones included whose removal is not recorded."""
        return sum(1 for _ in self._live()) if self._clears else len(self._index)

    def outcomes(self) -> dict[str, Outcome]:
        """Return what became of the clients' latest requests, by client."""
        return self._outcomes.parsed()

    def entries(self, *, ephemeral: bool) -> Iterator[tuple[str, Put]]:
        """Yield those keys that are bound to a process, or those that are not, with all that is known of them."""
        for key, entry in self._live():
            owner = self._index.owner(key)
            if (owner is not None) != ephemeral:
                continue
            value = os.pread(self._fd, entry.length, entry.address)
            if len(value) != entry.length:
                raise StoreCorruptError(f"The data file {self._path} was cut while it was read.")
            yield key, Put(value, entry.revision, entry.expires_at, owner)

    def _live(self) -> Iterator[tuple[str, Entry]]:
        for key in self._index.keys():  # noqa: SIM118  # a list, of what is no dict
            entry = self._index.find(key)
            assert entry is not None
            if not any(entry.revision <= clear.revision and key.startswith(clear.prefix) for clear in self._clears):
                yield key, entry
