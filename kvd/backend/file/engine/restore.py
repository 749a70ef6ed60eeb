"""Putting a backup in the place of a store's data file.

The store goes on, with other keys. Its revision rises above all that it has given out, and every key gets that new
revision: no fencing number comes twice, no `if_revision` fits by chance, and who watched is told to read anew. What
became of clients' requests is kept, so that one which is repeated after the restore is not carried out on the new keys.
So are ephemeral keys: a lock belongs to the process that holds it now, and not to the one that held it then.

Everything that takes time is done before the file is taken: the store is without a daemon for a moment only.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple, Self

from kvclient.contract.errors import DataStoreError, StoreFullError, StoreLockedError
from kvd.backend.file.engine.content import Content
from kvd.backend.file.engine.conversion import keep
from kvd.backend.file.engine.filesystem import resolve
from kvd.backend.file.engine.format import CLOSING
from kvd.backend.file.engine.interface import Outcome
from kvd.backend.file.engine.outcomes import affordable
from kvd.backend.file.engine.possession import take_existing
from kvd.backend.file.engine.scan import is_ours
from kvd.backend.file.engine.snapshot import Snapshot
from kvd.lock import Lock, is_at

_HEADROOM = 1_000_000
"""By how much the store's revision may rise between `Restoration.prepare` and `finish`."""
_POLL_SECONDS = 0.005
"""A daemon that somebody starts meanwhile takes twenty times as long until it asks for the file."""
_OUTCOMES_SHARE = 16


class Restored(NamedTuple):
    """What a restore did."""

    path: Path
    keys: int
    revision: int
    kept: Path | None
    """Where the file is that was there before; None if there was none."""


class Restoration:
    """A restore that is prepared: a new data file beside the store's."""

    def __init__(self, backup: Path, path: Path, max_file_bytes: int) -> None:
        """Prepare. The store may be in use. Raises `StoreCorruptError` if the backup is damaged or none,
        `StoreFullError` if it is larger than the store may be, and `DataStoreError` if a file cannot be used.
        """
        self._path = resolve(path)
        self._max_file_bytes = max_file_bytes
        self._temporary = self._path.with_name(f"{self._path.name}.restoring")
        self._current: Content | None = None
        self._current_fd = -1
        self._snapshot: Snapshot | None = None
        self._open = contextlib.ExitStack()
        try:
            self._backup = self._read_backup(backup)
            if self._path.exists():
                self._read_current()
            self._write()
        except OSError as error:
            self.close()
            if isinstance(error, DataStoreError):
                raise
            raise DataStoreError(f"{error.filename or self._path} cannot be used: {error.strerror}.") from None
        except BaseException:
            self.close()
            raise

    def _read_backup(self, path: Path) -> Content:
        try:
            return self._opened(path)
        except DataStoreError:
            raise
        except OSError as error:
            raise DataStoreError(f"The backup {path} cannot be read: {error.strerror}.") from None

    def _opened(self, path: Path) -> Content:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._open.callback(os.close, fd)
        if is_at(fd, self._path):
            raise DataStoreError(f"{path} is the store's own data file.")
        return Content.whole(fd, path)

    def _read_current(self) -> None:
        """Read the file that is to be replaced. One that is damaged, or none of ours, can be replaced as well."""
        self._current_fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        self._open.callback(os.close, self._current_fd)
        self._current = None
        with contextlib.suppress(DataStoreError):
            if is_ours(self._current_fd, self._path):
                self._current = Content(self._current_fd, self._path)
                self._current.read_on(past_damage=True)

    def _write(self) -> None:
        """Write the new file, but for its end."""
        revision = max(self._backup.revision, 0 if self._current is None else self._current.revision) + _HEADROOM
        self._temporary.unlink(missing_ok=True)
        snapshot = self._snapshot = Snapshot(self._temporary, revision)
        self.keys = 0
        for key, put in self._backup.entries(ephemeral=False):
            snapshot.add(key, put._replace(revision=revision))
            self.keys += 1
        snapshot.remember({})
        os.fdatasync(snapshot.fd)
        if snapshot.end + len(CLOSING) > self._max_file_bytes:
            raise StoreFullError(
                f"The store would have {snapshot.end + len(CLOSING)} bytes, more than its limit of "
                f"{self._max_file_bytes} (setting max_file_bytes). Nothing was changed; raise the limit."
            )
        self.revision = revision

    def finish(self, seconds: float = 0.0) -> Restored:
        """Put the new file in place, durably; what was there is kept beside it, as `<file>.replaced-<time>`.

        Waits up to `seconds` until the store's owner has left. Raises `StoreLockedError` if it does not.
        """
        lock = self._lock(time.monotonic() + seconds)
        try:
            kept = None
            with contextlib.ExitStack() as held:
                if self._path.exists():
                    taken = take_existing(self._path, lock)
                    held.callback(os.close, taken)
                    self._catch_up()
                    kept = keep(self._path, "replaced")
                assert self._snapshot is not None
                if kept is not None:
                    self._snapshot.resemble(taken)
                self._carry_over(self._snapshot)
                self._snapshot.close_object()
                self._snapshot.publish(self._path)
            return Restored(self._path, self.keys, self.revision, kept)
        finally:
            self.close()
            lock.release()

    def _lock(self, deadline: float) -> Lock:
        while True:
            try:
                return Lock(self._path, f"The data file {self._path}")
            except StoreLockedError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL_SECONDS)

    def _catch_up(self) -> None:
        """Read what came to the store since `prepare`, which its last owner may have put into another file."""
        if is_at(self._current_fd, self._path) and self._current is not None:
            self._current.read_on()
        else:
            self._read_current()
        if self._current is not None and self._current.revision >= self.revision:
            assert self._snapshot is not None
            self._snapshot.discard()
            self._write()

    def _carry_over(self, snapshot: Snapshot) -> None:
        """Add what belongs to the processes that use the store, and not to its past."""
        outcomes: dict[str, Outcome] = {}
        if self._current is not None:
            outcomes = affordable(self._current.outcomes(), self._max_file_bytes // _OUTCOMES_SHARE)
            for key, put in self._current.entries(ephemeral=True):  # one of the backup with the same name is overruled
                snapshot.add(key, put)
        snapshot.finish(outcomes)

    def close(self) -> None:
        """Leave nothing behind. Does nothing after `finish` but close what is open."""
        if self._snapshot is not None:
            self._snapshot.discard()
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
