"""Where a data file lies: whether it can be one at all, whose it is, and whether a lock holds there."""

import logging
import os
import stat
from pathlib import Path

from kvclient.contract.errors import DataStoreError

log = logging.getLogger(__name__)

# File systems whose locks depend on a server, on mount options, or on the program behind them.
_DISTANT = {"9p", "afs", "ceph", "cifs", "gfs2", "glusterfs", "lustre", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"}
_MOUNTS = Path("/proc/self/mountinfo")


def resolve(path: Path) -> Path:
    """Return the path of the file itself, its directory made if missing. Raises `DataStoreError` if it is no file."""
    try:
        real = path.expanduser().resolve(strict=False)
        if path.is_symlink() and real.is_symlink():
            raise DataStoreError(f"The data file {path} is a symbolic link that leads in a circle.")
        real.parent.mkdir(parents=True, exist_ok=True)
        found = real.stat()
    except FileNotFoundError:
        return real
    except (OSError, RuntimeError) as error:
        if isinstance(error, DataStoreError):
            raise
        raise DataStoreError(f"The data file {path} cannot be used: {error}") from None
    if not stat.S_ISREG(found.st_mode):
        raise DataStoreError(f"The data file {path} is not a regular file.")
    return real


def look_around(fd: int, path: Path) -> None:
    """Refuse another user's file with `DataStoreError`; warn of a file system whose locks may not hold."""
    owner = os.fstat(fd).st_uid
    if owner != os.geteuid():
        raise DataStoreError(
            f"The data file {path} belongs to user {owner} and this is user {os.geteuid()}: "
            "its next compaction would take it away from its owner."
        )
    if name := untrusted_file_system(path):
        log.warning(
            "%s lies on a file system (%s) where a lock may not keep off a daemon on another machine; "
            "make sure that only one opens it",
            path,
            name,
        )


def untrusted_file_system(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the name of the file system that holds `path` if locks cannot be trusted there, else None."""
    name = _file_system(path, mounts)
    return name if name in _DISTANT or name.startswith("fuse.") else None


def _file_system(path: Path, mounts: Path) -> str:
    """Return what proc(5) calls the file system type; an empty string if there is no telling."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        mount, _, kind = line.partition(" - ")
        if mount.split(" ")[2:3] == [wanted]:
            return kind.split(" ")[0]
    return ""
