"""A lock that one process holds on a path, and that names its holder.

`flock` on a file beside the path, so that the path itself can be replaced (by a compaction) while it is locked. The
kernel frees it when the holder dies, however it dies. The lock file is removed on release; one that a crash left
behind is taken over.
"""

import fcntl
import json
import os
import time
from pathlib import Path

from kvclient.contract import holder
from kvclient.contract.errors import StoreLockedError


class Lock:
    """A held lock. `release()` or the end of the process frees it."""

    def __init__(self, path: Path, what: str, endpoint: str | None = None) -> None:
        """Lock `path`, described to people as `what`. Raises `StoreLockedError` that names the holder.

        `endpoint` is where this process serves it, for those who look for it elsewhere.
        """
        self.path = holder.lock_path(path)
        self._pid = os.getpid()
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(fd, self.path):
                    break
            except BlockingIOError:
                described = _describe_holder(fd, endpoint)
                os.close(fd)
                raise StoreLockedError(f"{what} is in use by {described}.") from None
            os.close(fd)  # its holder removed it between our open and our lock
        self._fd = fd
        os.ftruncate(fd, 0)
        said = {"pid": self._pid, "since": int(time.time()), **({"endpoint": endpoint} if endpoint else {})}
        os.pwrite(fd, json.dumps(said).encode() + b"\n", 0)

    def release(self) -> None:
        """Free the lock. Does nothing the second time, and nothing to the lock itself in a forked child."""
        if self._fd < 0:
            return
        if os.getpid() == self._pid and _is_at(self._fd, self.path):
            self.path.unlink()
        os.close(self._fd)
        self._fd = -1


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _describe_holder(fd: int, endpoint: str | None) -> str:
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
