"""Who has a data file open, as the lock file beside it tells: read by anybody, written by `kvd.lock`."""

import json
from pathlib import Path
from typing import NamedTuple


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
    except (OSError, ValueError):
        return None
    return holder if Path(f"/proc/{holder.pid}").exists() else None
