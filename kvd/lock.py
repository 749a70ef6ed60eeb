"""A lock that one process holds on a path, and that names its holder.

Two locks of the kernel (`flock`), which frees both when the holder dies, however it dies:

- One on a file beside the path, `<path>.lock`, which says who the holder is. It is there before the path is, and stays
  while a compaction replaces the file at the path. It is removed on release; one that a crash left is taken over.
- One on the file at the path itself (`guard`), where there is a file to lock. A lock file can be removed, and another
  name of the same file, a hard link or a bind mount, has a lock file of its own: the inode has one lock.

Descriptors are closed on exec. After a fork the child shares the locks until it closes what it inherited, which is up
to those who hold them.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import time
from pathlib import Path

from kvclient.contract import holder
from kvclient.contract.errors import DataStoreError, StoreLockedError

log = logging.getLogger(__name__)

_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class Lock:
    """A held lock. `release()` or the end of the process frees it."""

    def __init__(self, path: Path, what: str, endpoint: str | None = None) -> None:
        """Lock `path`, described to people as `what`.

        `endpoint` is where this process serves it, for those who look for it elsewhere. Raises `StoreLockedError` that
        names the holder, `DataStoreError` if the file system has no locks.
        """
        self.path = holder.lock_path(path)
        self._what = what
        self._endpoint = endpoint
        self._pid = os.getpid()
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                if not _try(fd, what):
                    raise StoreLockedError(f"{what} is in use by {_named_holder(fd, endpoint)}.")
                if is_at(fd, self.path):
                    break
            except DataStoreError:
                os.close(fd)
                raise
            os.close(fd)  # its holder removed it between our open and our lock
        self._fd = fd
        self._sign()

    def _sign(self) -> None:
        os.ftruncate(self._fd, 0)
        said = {"pid": self._pid, "since": int(time.time()), **({"endpoint": self._endpoint} if self._endpoint else {})}
        os.pwrite(self._fd, json.dumps(said).encode() + b"\n", 0)

    def guard(self, fd: int) -> None:
        """Lock the file that is open as `fd` as well, until all its descriptors are closed.

        Raises `StoreLockedError` that names who has it under another name, or without a lock file.
        """
        if not _try(fd, self._what):
            raise StoreLockedError(f"{self._what} is in use by {_unnamed_holder(fd)}.")

    def restore(self) -> None:
        """Put the lock file back if somebody removed or replaced it, with a warning: it is how others learn the owner.

        Where somebody else has one there just now, they are about to learn that the file is in use; the next call will
        do.
        """
        if self._fd < 0 or is_at(self._fd, self.path):
            return
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not is_at(fd, self.path):
                raise BlockingIOError
            self._fd, fd = fd, self._fd
            self._sign()
        except OSError:
            return
        finally:
            os.close(fd)
        log.warning("somebody removed %s; it is back, and nobody else has had the file meanwhile", self.path)

    def release(self) -> None:
        """Free the lock. Does nothing the second time, and nothing to the lock itself in a forked child."""
        if self._fd < 0:
            return
        if os.getpid() == self._pid and is_at(self._fd, self.path):
            self.path.unlink()
        os.close(self._fd)
        self._fd = -1


def _try(fd: int, what: str) -> bool:
    """Lock an open file, or tell that somebody else has. Raises `DataStoreError` where that cannot be known."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise DataStoreError(
            f"{what} cannot be locked, and so not be kept from a second owner: its file system has no locks "
            f"({error.strerror}). Put it on a local disk, or mount that file system with locks."
        ) from None
    return True


def is_at(fd: int, path: Path) -> bool:
    """Tell whether the open file is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


def _named_holder(fd: int, endpoint: str | None) -> str:
    """Describe the holder of a lock file, which may be only just writing its name into it.

    `endpoint` is where this process was to serve: a holder that serves elsewhere is named with its own.
    """
    for _ in range(50):
        try:
            found = holder.parse(os.pread(fd, 1000, 0))
        except ValueError:
            time.sleep(0.01)
            continue
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found.since))
        described = f"process {found.pid} (since {since})"
        if endpoint is None or found.endpoint in (None, endpoint):
            return described
        return (
            f"{described}, which serves it on {found.endpoint} and not on {endpoint}: ask it there "
            f"(--endpoint {found.endpoint}), or stop it first (kvctl stop --endpoint {found.endpoint})"
        )
    return "another process"


def _unnamed_holder(fd: int) -> str:
    """Describe who has locked a file whose lock file does not tell: with its pid and its name for the file."""
    found = os.fstat(fd)
    pid = holder.locked_by(found)
    if pid is None:
        return "another process, under another name or without its lock file"
    name = _name_in(pid, found)
    return f"process {pid}" if name is None else f"process {pid}, which has it open as {name}"


def _name_in(pid: int, found: os.stat_result) -> str | None:
    """Return the path under which a process has a file open; None if it may not be looked at."""
    with contextlib.suppress(OSError):
        for opened in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.path.samestat(opened.stat(), found):
                    return os.readlink(opened)
    return None
