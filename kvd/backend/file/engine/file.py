"""The JSON data file as an engine: an index in memory, commits appended in place, one at a time.

Invariants kept here and in `kvd.backend.file.engine.tail`:
- At every moment the file is one JSON object, with at least every commit in it whose `write` has returned.
- No byte is ever written at or behind `max_file_bytes`; see `_limit` for a file that has more bytes already.
"""

import logging
import os
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from kvclient.contract.errors import DataStoreError, StoreCorruptError, StoreFullError
from kvd.backend.asking import Owner
from kvd.backend.file.engine.compaction import Move
from kvd.backend.file.engine.cost import close_cost, rough_cost
from kvd.backend.file.engine.filesystem import resolve
from kvd.backend.file.engine.footnote import FRAME_BYTES, cost_of_clear
from kvd.backend.file.engine.format import (
    CLOSING,
    HEADER,
    MARKER_BYTES,
    OPEN_END,
    SNAPSHOT_MARKER_BYTES,
    VALUE_AFTER,
    VALUE_BEFORE,
    Encoded,
    encode_commit,
)
from kvd.backend.file.engine.history import history
from kvd.backend.file.engine.interface import (
    NEVER,
    Clear,
    Commit,
    Compaction,
    DiskJob,
    Entry,
    History,
    Outcome,
    Put,
    Removal,
)
from kvd.backend.file.engine.load import Progress
from kvd.backend.file.engine.opening import open_file
from kvd.backend.file.engine.outcomes import affordable
from kvd.backend.file.engine.rescue import rescue
from kvd.backend.file.engine.snapshot import GROUP_BYTES
from kvd.backend.file.engine.tail import Tail
from kvd.histogram import Histogram
from kvd.lock import Lock, is_at

log = logging.getLogger(__name__)

# What removals may use of a file that is full for everything else, as a share of max_file_bytes and at most.
_RESERVE_SHARE, _RESERVE_BYTES = 16, 64 * 1024
# What the remembered outcomes may use of a compacted file, as a share of max_file_bytes.
_OUTCOMES_SHARE = 16

_open_here: "weakref.WeakSet[JsonFile]" = weakref.WeakSet()


class JsonFile:
    """The engine on one file. See `kvd.backend.file.engine.interface.Engine` for the methods."""

    def __init__(
        self,
        path: Path,
        *,
        sync: str = "always",
        max_file_bytes: int = 1 << 30,
        progress: Progress = lambda _done, _size: None,
        served_on: str | None = None,
    ) -> None:
        """Lock, verify and index the file at `path`, which is created if there is none.

        A tail that a crash tore is cut, with a warning. A plain JSON file is converted and the original kept.
        A large file takes seconds, in which `progress` is called with the bytes done and all bytes. The lock tells
        others that the file is `served_on` an endpoint.
        Raises `StoreLockedError`, `StoreCorruptError` (with the place of the damage), or `DataStoreError` if the path
        cannot be used.
        """
        self.path = resolve(path)
        self._temporary = self.path.with_name(f"{self.path.name}.compacting")
        self._sync_mode = sync
        self._max_file_bytes = max_file_bytes
        self._reserve = min(_RESERVE_BYTES, max_file_bytes // _RESERVE_SHARE)
        self._lock: Lock | None = None
        self._pid = os.getpid()
        self._move: Move | None = None
        self._progress = progress
        try:
            self._lock = Lock(self.path, f"The data file {self.path}", served_on)
            self._open()
        except BaseException as error:
            self._abandon()
            if isinstance(error, OSError) and not isinstance(error, DataStoreError):
                raise DataStoreError(f"The data file {self.path} cannot be opened: {error}") from None
            raise
        _open_here.add(self)

    def _open(self) -> None:
        assert self._lock is not None
        opened = open_file(self.path, self._temporary, self._lock, self._max_file_bytes, self._progress)
        fd, self._index, loaded = opened
        try:
            self._tail = Tail(self.path, fd, loaded.end, self._max_file_bytes)
        except BaseException:
            os.close(fd)
            raise
        self._tidy_bytes = loaded.end
        self.revision = loaded.revision
        self.outcomes = loaded.outcomes
        self.clears = loaded.clears
        self.history_from = loaded.history_from
        self.dropped: list[tuple[str, Entry]] = []
        self._durable_revision = loaded.revision
        # An address is an offset plus the base of the file it is in; each compaction's file gets a base of its own, so
        # that an address stays readable while the index is moved over.
        self._base = 0
        self._previous: tuple[int, int] | None = None
        self._carried_bytes = 0

    def __len__(self) -> int:
        return len(self._index)

    def find(self, key: str) -> Entry | None:
        return self._index.find(key)

    def holds_any(self, keys: Collection[str]) -> bool:
        return self._index.holds_any(keys)

    def read(self, entry: Entry) -> bytes:
        fd, offset = self._tail.fd, entry.address - self._base
        if offset < 0:
            assert self._previous is not None
            fd, offset = self._previous[0], entry.address - self._previous[1]
        try:
            found = os.pread(fd, len(VALUE_BEFORE) + entry.length + len(VALUE_AFTER), offset - len(VALUE_BEFORE))
        except OSError as error:
            raise self._unreadable(entry, offset, error) from None
        if not found.startswith(VALUE_BEFORE) or found[len(VALUE_BEFORE) + entry.length :] != VALUE_AFTER:
            raise StoreCorruptError(
                f"The data file {self.path} no longer holds a value that was in it: "
                "another program cut it, or wrote to it, while it was open."
            )
        return found[len(VALUE_BEFORE) : -len(VALUE_AFTER)]

    def _unreadable(self, entry: Entry, offset: int, error: OSError) -> DataStoreError:
        keys = [key for key in self._index.keys() if self._index.find(key) == entry]  # noqa: SIM118
        return DataStoreError(
            f"Key {', '.join(map(repr, keys))} cannot be read: the disk does not give bytes {offset} to "
            f"{offset + entry.length} of the data file {self.path} ({error.strerror}). Other keys are not affected. "
            f"Stop the daemon and run 'kvd repair {self.path}', which saves what can be read; then see to the disk.",
            keys,
        )

    def expiring(self) -> Iterator[tuple[float, str]]:
        return self._index.expiring()

    def keys(self) -> list[str]:
        return self._index.keys()

    def owners(self) -> Iterator[tuple[str, Owner]]:
        return self._index.owners()

    # What fits.

    @property
    def size(self) -> int:
        """Bytes of the file, the spaces kept for the next commits included."""
        return self._tail.size

    @property
    def syncs(self) -> Histogram:
        """How long the syncs of commits took."""
        return self._tail.syncs

    @property
    def live_bytes(self) -> int:
        """Bytes of the file that hold live entries."""
        return self._index.live_bytes

    @property
    def used_bytes(self) -> int:
        """Bytes of the file up to the spaces kept for the next commits."""
        return self._tail.end + len(CLOSING)

    @property
    def reclaimable(self) -> int:
        live = self._index.live_bytes
        groups = 2 * live // GROUP_BYTES + 1
        tidy = len(HEADER) + live + groups * SNAPSHOT_MARKER_BYTES + self._carried_bytes
        return max(0, self._tail.end - tidy)

    def cost(
        self,
        changes: list[tuple[str, Put | Removal]],
        client: str | None,
        fields: bytes = b"",
        clear: Clear | None = None,
    ) -> int:
        clearing = 0 if clear is None else cost_of_clear(clear) + FRAME_BYTES
        cost = rough_cost(changes, client, fields) + clearing
        # Far from full, there is no need to be exact.
        if self._tail.end + cost < self._max_file_bytes // 2:
            return cost
        return close_cost(changes, client, fields) + clearing

    def room(self, *, removing: bool) -> int:
        bytes_between = len(OPEN_END) + MARKER_BYTES
        if removing:
            return self._limit(removing=True) - bytes_between - self._tail.end
        return self._max_file_bytes - bytes_between - self._tail.end - self._reserve

    def _limit(self, *, removing: bool) -> int:
        """Return how many bytes the file may have.

        Removals from one that was too large when it was opened or compacted, because the limit was lowered since, may
        make it larger until it is compacted again.
        """
        if removing and self._tidy_bytes > self._max_file_bytes:
            return self._tidy_bytes + self._reserve
        return self._max_file_bytes

    # Commits.

    def stage(self, commit: Commit) -> Encoded:
        synced = self._durable_revision if self._durable_revision < self.revision else None
        timed = commit.time != NEVER
        encoded = encode_commit(commit, self._tail.end, synced=synced, timed=timed)
        if encoded.stop + len(OPEN_END) > self._max_file_bytes:
            limit = self._limit(removing=all(isinstance(change, Removal) for _, change in commit.changes))
            limit -= len(OPEN_END)
            if encoded.stop <= limit:
                return encoded
            encoded = encode_commit(commit, self._tail.end, synced=synced, aligned=False, timed=timed)
            if encoded.stop > limit:
                raise full(self.path, self._max_file_bytes)
        return encoded

    def write(self, staged: Encoded) -> None:
        self._tail.write(staged)
        if self._sync_mode == "always":
            self._tail.sync()

    def apply(self, staged: Encoded) -> None:
        commit = staged.commit
        if self._move is not None:
            self._move.note(commit.changes)
        self._index.change(commit.changes, staged.lines, self._base)
        if commit.clear is not None:
            self.clears = [*self.clears, commit.clear]
        if commit.cleared is not None:
            self.clears = [clear for clear in self.clears if clear.revision != commit.cleared]
        self._tail.advance(staged.stop)
        self.revision = commit.revision
        if commit.time == NEVER:
            self.history_from = commit.revision
        if self._sync_mode == "always":
            self._durable_revision = commit.revision

    def sync(self) -> None:
        self._tail.check()
        revision = self.revision
        if self._sync_mode == "always":
            self._tail.sync()
        elif revision != self._durable_revision:
            self._tail.sync()
            self._durable_revision = revision

    # Upkeep.

    def verify(self) -> None:
        if self._lock is not None:
            self._lock.restore()
        self._tail.settle()
        self._tail.watch.verify()

    def history(self, after: int) -> History:
        yield from history(self.path, self._tail.fd, self._tail.end, self.history_from, after)

    def compact(
        self, now: float, outcomes: dict[str, Outcome], keys: Iterable[str] | None = None, *, untold: bool = False
    ) -> Compaction:
        if self._move is not None:
            return
        tail = self._tail
        # A file may have more bytes than a limit that was lowered since.
        new_base = self._base + max(tail.size, self._limit(removing=True))
        self._temporary.unlink(missing_ok=True)
        carried = affordable(outcomes, self._max_file_bytes // _OUTCOMES_SHARE)
        clears = self.clears
        before, started = tail.size, time.monotonic()
        move = self._move = Move(
            self._index,
            temporary=self._temporary,
            old_fd=tail.fd,
            old_base=self._base,
            start=tail.end,
            new_base=new_base,
            revision=self.revision,
        )
        move.untold = untold
        try:
            move.snapshot.resemble(tail.fd)
            yield from move.copy_entries(self.read, now, keys)
            yield from move.copy_notes(carried, clears)
            yield from move.copy_tail(lambda: tail.end)
            tail.watch.expect_replacement(move.snapshot.fd)
            yield DiskJob(self._publish, alone=True)
        except BaseException:
            self._move = None
            tail.watch.expect_replacement(None)
            if is_at(move.snapshot.fd, self.path):  # interrupted behind the rename
                tail.lose()
            move.snapshot.discard()
            raise
        self._previous = (tail.fd, self._base)
        tail.follow(move.snapshot.fd, move.snapshot.end)
        self._base = new_base
        self._tidy_bytes = tail.end
        self._carried_bytes = move.carried_bytes
        self.history_from = move.revision
        self._durable_revision = self.revision
        yield from move.move_index(self.dropped)
        self._move = None
        # A commit that was decided before the last of these steps may still ask for what it replaces, in the old file.
        yield DiskJob(lambda: None, alone=True)
        (previous, _), self._previous = self._previous, None
        # Of a gigabyte, freeing its cached pages and its blocks takes long.
        yield DiskJob(partial(os.close, previous), alone=False)
        log.info("compacted %s from %d to %d bytes in %.1f s", self.path, before, tail.size, time.monotonic() - started)

    def _publish(self) -> None:
        assert self._move is not None
        self._tail.watch.verify()
        try:
            self._move.publish(self.path, self._tail.end, self._max_file_bytes)
        except OSError as error:
            if is_at(self._move.snapshot.fd, self.path):
                raise self._tail.fail("put in place for good", error) from None
            raise

    def rescue(self, alive: Callable[[], None]) -> str:
        return str(rescue(self.path, self.revision, self._index, self.clears, self.read, alive))

    def close(self) -> None:
        """Trim the file to its commits, make it durable and free the lock. Does nothing the second time."""
        if self._tail.fd < 0:
            return
        try:
            if not self._tail.failed:
                with suppress(StoreCorruptError):
                    self._tail.trim()
        finally:
            self._abandon()

    def abandon(self) -> None:
        """Close without touching the file: for a child process that inherited it.

        Every child that Python forks does so at once, so that none keeps the lock when its parent has ended.
        """
        self._abandon()
        if self._move is not None and os.getpid() != self._pid:
            self._move.snapshot.leave()

    def _abandon(self) -> None:
        if hasattr(self, "_tail"):
            self._tail.close()
        if getattr(self, "_previous", None) is not None:
            os.close(self._previous[0])  # type: ignore[index]
            self._previous = None
        if self._lock is not None:
            self._lock.release()


def _leave_all_to_the_parent() -> None:
    for inherited in list(_open_here):
        inherited.abandon()
    _open_here.clear()


os.register_at_fork(after_in_child=_leave_all_to_the_parent)


def full(path: Path, max_file_bytes: int) -> StoreFullError:
    """Return the error for a write that would take the file past its limit."""
    return StoreFullError(
        f"The data file {path} would pass its limit of {max_file_bytes} bytes (setting max_file_bytes), "
        "also without what is expired and deleted. Nothing was changed."
    )
