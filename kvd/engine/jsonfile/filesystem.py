"""On which kind of file system a data file lies: on a network, a lock may not hold off a daemon on another machine."""

import os
from pathlib import Path

# File systems whose locks depend on a server, on mount options, or on the program behind them.
_DISTANT = {"9p", "afs", "ceph", "cifs", "gfs2", "glusterfs", "lustre", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"}
_MOUNTS = Path("/proc/self/mountinfo")


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
