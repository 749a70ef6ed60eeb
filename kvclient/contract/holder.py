"""Who has a data file open, as the lock file beside it tells: read by anybody, written by `kvd.lock`."""

import contextlib
import json
import os
from pathlib import Path
from typing import NamedTuple

_LOCKS = Path("/proc/locks")


class Holder(NamedTuple):
    """The process that has a path locked."""

    pid: int
    since: float
    """Unix seconds."""
    endpoint: str | None
    """Where it serves what it has locked, if it does."""


def lock_path(path: Path) -> Path:
    """Return the lock file of `path`."""
    return path.with_name(f"{path.name}.lock")


def parse(text: bytes) -> Holder:
    """Return what a lock file says. Raises `ValueError` for anything else, as for one that is being written."""
    try:
        fields = json.loads(text)
        endpoint = fields.get("endpoint")
        return Holder(int(fields["pid"]), float(fields["since"]), None if endpoint is None else str(endpoint))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a lock file's content") from error


def running_holder(path: Path) -> Holder | None:
    """Return who has `path` locked, None if nobody seems to. Does not touch the lock."""
    try:
        holder = parse(lock_path(path).read_bytes())
        if Path(f"/proc/{holder.pid}").exists():
            return holder
    except (OSError, ValueError):
        pass
    with contextlib.suppress(OSError):  # there is no such file
        pid = locked_by(os.stat(path))
        return None if pid is None else Holder(pid, 0.0, None)
    return None


def locked_by(found: os.stat_result) -> int | None:
    """Return the pid of the process that the kernel knows to have a `flock` on a file; None if it shows none here."""
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        # "1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF"; one that waits has an arrow before its kind
        fields = line.split()
        if len(fields) >= 6 and fields[1] == "FLOCK" and fields[5] == wanted and int(fields[4]) > 0:
            return int(fields[4])
    return None
