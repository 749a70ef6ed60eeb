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

from kvclient.contract.errors import StoreLockedError


class Lock:
    """A held lock. `release()` or the end of the process frees it."""

    def __init__(self, path: Path, what: str) -> None:
        """Lock `path`, described to people as `what`. Raises `StoreLockedError` that names the holder."""
        self.path = path.with_name(f"{path.name}.lock")
        self._pid = os.getpid()
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(fd, self.path):
                    break
            except BlockingIOError:
                holder = _holder(fd)
                os.close(fd)
                raise StoreLockedError(f"{what} is in use by {holder}.") from None
            os.close(fd)  # its holder removed it between our open and our lock
        self._fd = fd
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({"pid": self._pid, "since": int(time.time())}).encode() + b"\n", 0)

    def release(self) -> None:
        """Free the lock. Does nothing the second time, and nothing to the lock itself in a forked child."""
        if self._fd < 0:
            return
        if os.getpid() == self._pid and _is_at(self._fd, self.path):
            self.path.unlink()
        os.close(self._fd)
        self._fd = -1


def running_holder(path: Path) -> int | None:
    """Return the pid of the process that has `path` locked, None if none seems to. Does not touch the lock."""
    try:
        pid = int(json.loads(path.with_name(f"{path.name}.lock").read_bytes())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if Path(f"/proc/{pid}").exists() else None


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _holder(fd: int) -> str:
    """Describe the holder of a lock file, which may be only just writing its name into it."""
    for _ in range(50):
        try:
            holder = json.loads(os.pread(fd, 200, 0))
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
            return f"process {holder['pid']} (since {since})"
        except (ValueError, KeyError, TypeError):
            time.sleep(0.01)
    return "another process"
