"""Compaction: the live entries are written to a new file, which then takes the old one's place.

    1. Copy every entry that was live at the start, in short steps. Commits go on being appended to the old file.
    2. Copy, as it is, what was appended to the old file meanwhile.
    3. With no commit under way: copy the rest of that, sync, rename, sync the directory.
    4. Move the index over, in short steps. What is not moved yet is read from the old file, which stays open.

A crash before the rename leaves the old file, and a `.compacting` file that the next start removes; a crash after it
leaves the new one. A failure before the rename leaves everything as it was. `JsonFile.compact` goes through the steps;
here is the new file's side of it.
"""

import os
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from kvclient.contract.errors import StoreFullError
from kvd.backend.file.engine.index import Index
from kvd.backend.file.engine.interface import DiskJob, Entry, Put
from kvd.backend.file.engine.snapshot import Snapshot, pwrite_all

# A step copies so many entries or bytes, whichever comes first: a third of a millisecond's work.
_STEP_ENTRIES, _STEP_BYTES = 32, 128 * 1024
# Synced this often, so that the disk is not handed the whole file at once in front of somebody's commit.
_SYNC_BYTES = 1 << 20
_NOT_COPIED = 0


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
        self.added: set[str] = set()
        """Keys that commits have put since the start; the owner adds them."""
        self.snapshot = Snapshot(temporary, revision)

    def copy_entries(
        self, read: Callable[[Entry], bytes], now: float, outcomes: dict[str, tuple[int, int]]
    ) -> Iterator[DiskJob | None]:
        """Copy what was live at the start and has not expired at `now`, and `outcomes`."""
        snapshot = self.snapshot
        self._keys = self._index.keys()
        first_after = self._old_base + self._start
        pending: list[int] = []
        step_entries = step_bytes = 0
        for position, key in enumerate(self._keys):
            self._copied.append(_NOT_COPIED)
            entry = self._index.find(key)
            if entry is not None and entry.address < first_after and entry.expires_at > now:
                snapshot.add(key, Put(read(entry), entry.revision, entry.expires_at))
                pending.append(position)
                step_bytes += entry.length
            step_entries += 1
            if step_entries >= _STEP_ENTRIES or step_bytes >= _STEP_BYTES:
                self._note_copied(pending)
                step_entries = step_bytes = 0
                yield self._sync_if_due()
        snapshot.finish(outcomes)
        self._note_copied(pending)
        self._tail_at = snapshot.end

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

    def move_index(self) -> Iterator[None]:
        """Give every entry of the old file its address in the new one; forget those that had expired."""
        for position, key in enumerate(self._keys):
            self._move(key, self._copied[position])
            if position % (4 * _STEP_ENTRIES) == 0:
                yield None
        # A copy: commits go on adding, but what they add now is in the new file already.
        for position, key in enumerate(list(self.added)):
            self._move(key, _NOT_COPIED)
            if position % (4 * _STEP_ENTRIES) == 0:
                yield None

    def _move(self, key: str, copied: int) -> None:
        entry = self._index.find(key)
        if entry is None or entry.address >= self._new_base:
            return
        offset = entry.address - self._old_base
        if offset >= self._start:
            copied = self._tail_at + offset - self._start
        if copied == _NOT_COPIED:
            self._index.remove(key)
        else:
            self._index.move(key, entry._replace(address=self._new_base + copied))
