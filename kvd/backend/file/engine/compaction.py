"""Compaction: the live entries are written to a new file, which then takes the old one's place.

    1. Copy every entry that was live at the start, in short steps. Commits go on being appended to the old file. What
       they supersede is copied all the same: the history of those commits begins with it.
    2. Copy, as it is, what was appended to the old file meanwhile.
    3. With no commit under way: copy the rest of that, sync, rename, sync the directory.
    4. Move the index over, in short steps. What is not moved yet is read from the old file, which stays open.

A crash before the rename leaves the old file, and a `.compacting` file that the next start removes; a crash after it
leaves the new one. A failure before the rename leaves everything as it was. `JsonFile.compact` goes through the steps;
here is the new file's side of it.
"""

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from kvclient.contract.errors import StoreFullError
from kvd.backend.asking import Owner
from kvd.backend.file.engine.index import Index, pack, unpack
from kvd.backend.file.engine.interface import Clear, DiskJob, Entry, Outcome, Put, Removal
from kvd.backend.file.engine.outcomes import grouped
from kvd.backend.file.engine.snapshot import Snapshot, pwrite_all

# A step copies so many entries or bytes, whichever comes first: a third of a millisecond's work.
_STEP_ENTRIES, _STEP_BYTES = 32, 128 * 1024
# Synced this often, so that the disk is not handed the whole file at once in front of somebody's commit.
_SYNC_BYTES = 1 << 20
_NOT_COPIED = 0
_PARTS = 256
"""Of what grows by as many keys as there are, so that no part of it is large."""


class Move:
    """The entries of a file on their way to a new one.

    `old_base` and `start` say which of the index's addresses are to be copied: those of the old file below `start`.
    """

    def __init__(
        self, index: Index, *, temporary: Path, old_fd: int, old_base: int, start: int, new_base: int, revision: int
    ) -> None:
        self._index = index
        self._old_fd = old_fd
        self._old_base = old_base
        self._start = start
        self._new_base = new_base
        self._keys: list[str] = []
        self._copied = array("Q")
        self._tail_at = 0
        self._tail_copied = start
        self._synced = 0
        self.revision = revision
        """Of the store at the start."""
        self._added: list[str] = []
        """Keys that commits have put since the start, some more than once. (A set of a million that grows is moved at
        once, which holds everybody up for 40 ms.)
        """
        self._superseded: list[dict[str, bytes]] | None = [{} for _ in range(_PARTS)]
        """What commits have superseded of what was live at the start, packed; None once all of that is copied.

        Packed, as a million tuples would hold everybody up for a tenth of a second each time that Python looks for
        cycles in them; and in parts, as one dict of so many does when it grows.
        """
        self._former_owners: dict[str, Owner] = {}
        """Those of what was superseded."""
        self.untold = False
        """Whether keys are left out, or were, whose removal no commit tells."""
        self.carried_bytes = 0
        """Bytes of the new file that hold outcomes and clears."""
        self.snapshot = Snapshot(temporary, revision)

    def note(self, changes: Sequence[tuple[str, Put | Removal]]) -> None:
        """Take note of changes that are about to be applied to the index."""
        self._added += [key for key, change in changes if isinstance(change, Put)]
        if self._superseded is None:
            return
        for key, _ in changes:
            entry = self._index.find(key)
            if entry is not None and entry.address < self._old_base + self._start:
                self._superseded[hash(key) % _PARTS][key] = pack(entry)
                if (owner := self._index.owner(key)) is not None:
                    self._former_owners[key] = owner

    def copy_entries(
        self, read: Callable[[Entry], bytes], now: float, keys: Iterable[str] | None
    ) -> Iterator[DiskJob | None]:
        """Copy what was live at the start and has not expired at `now`, in the order of `keys` if they are all."""
        snapshot = self.snapshot
        self._keys = self._index.keys() if keys is None else list(keys)
        if len(self._keys) != len(self._index):
            self._keys = self._index.keys()
        pending: list[int] = []
        step_entries = step_bytes = 0
        for position, key in enumerate(self._keys):
            self._copied.append(_NOT_COPIED)
            entry, owner = self._at_start(key)
            if entry is not None and entry.expires_at <= now:
                self.untold = True
            elif entry is not None:
                snapshot.add(key, Put(read(entry), entry.revision, entry.expires_at, owner))
                pending.append(position)
                step_bytes += entry.length
            step_entries += 1
            if step_entries >= _STEP_ENTRIES or step_bytes >= _STEP_BYTES:
                self._note_copied(pending)
                step_entries = step_bytes = 0
                yield self._sync_if_due()
        superseded, self._superseded = self._superseded, None
        snapshot.remember({})
        self._note_copied(pending)
        # Where all was replaced meanwhile, these are as many objects as the index has: given back at once they take
        # some tenths of a second.
        while superseded:
            superseded.pop()
            yield None

    def _at_start(self, key: str) -> tuple[Entry | None, Owner | None]:
        """Return what the key's entry was at the start."""
        assert self._superseded is not None
        if (packed := self._superseded[hash(key) % _PARTS].get(key)) is not None:
            return unpack(packed), self._former_owners.get(key)
        entry = self._index.find(key)
        if entry is None or entry.address >= self._old_base + self._start:
            return None, None
        return entry, self._index.owner(key)

    def copy_notes(self, outcomes: dict[str, Outcome], clears: Sequence[Clear]) -> Iterator[DiskJob | None]:
        """Write `outcomes` and `clears`, which were those at the start."""
        before = self.snapshot.end
        for group in grouped(outcomes):
            self.snapshot.remember(group)
            yield self._sync_if_due()
        self.snapshot.write_clears(clears)
        if self.untold:
            self.snapshot.write_gap()
        self._tail_at = self.snapshot.end
        self.carried_bytes = self.snapshot.end - before

    def _note_copied(self, pending: list[int]) -> None:
        placed = self.snapshot.placed
        for position, offset in zip(pending, placed, strict=False):
            self._copied[position] = offset
        del pending[: len(placed)]
        placed.clear()

    def _sync_if_due(self) -> DiskJob | None:
        if self.snapshot.end - self._synced < _SYNC_BYTES:
            return None
        self._synced = self.snapshot.end
        return DiskJob(partial(os.fdatasync, self.snapshot.fd), alone=False)

    def copy_tail(self, end: Callable[[], int]) -> Iterator[DiskJob | None]:
        """Copy what was appended to the old file since the start, until little is left up to its present `end()`."""
        while end() - self._tail_copied > _STEP_BYTES:
            self._copy_tail_to(self._tail_copied + _STEP_BYTES)
            yield self._sync_if_due()
        yield DiskJob(partial(os.fdatasync, self.snapshot.fd), alone=False)

    def _copy_tail_to(self, stop: int) -> None:
        data = os.pread(self._old_fd, stop - self._tail_copied, self._tail_copied)
        pwrite_all(self.snapshot.fd, data, self.snapshot.end)
        self.snapshot.end += len(data)
        self._tail_copied = stop

    def publish(self, target: Path, end: int, most: int) -> None:
        """Copy the rest of the tail, up to `end`, and put the new file in place.

        Raises `StoreFullError`, with nothing changed, if it would have more bytes than `most` and than the old one.
        """
        self._copy_tail_to(end)
        self.snapshot.close_object()
        if os.fstat(self.snapshot.fd).st_size > max(most, os.fstat(self._old_fd).st_size):
            raise StoreFullError(f"The compacted file would have more than {most} bytes.")
        self.snapshot.publish(target)

    def move_index(self, dropped: list[tuple[str, Entry]]) -> Iterator[None]:
        """Give every entry of the old file its address in the new one; those that had expired are `dropped`."""
        for position, key in enumerate(self._keys):
            self._move(key, self._copied[position], dropped)
            if position % (4 * _STEP_ENTRIES) == 0:
                yield None
        # Commits go on adding, but what they add now is in the new file already.
        for position in range(len(self._added)):
            self._move(self._added[position], _NOT_COPIED, dropped)
            if position % (4 * _STEP_ENTRIES) == 0:
                yield None
        while self._keys:
            del self._keys[-64 * _STEP_ENTRIES :]
            yield None

    def _move(self, key: str, copied: int, dropped: list[tuple[str, Entry]]) -> None:
        entry = self._index.find(key)
        if entry is None or entry.address >= self._new_base:
            return
        offset = entry.address - self._old_base
        if offset >= self._start:
            copied = self._tail_at + offset - self._start
        if copied == _NOT_COPIED:
            dropped.append((key, entry))
            self._index.remove(key)
        else:
            self._index.move(key, self._new_base + copied)
