"""Taking sole possession of a data file: of the file itself, whatever it is called, and not of a name only.

The lock file beside the path comes first and names the owner. Then the file is opened and locked, and looked at once
more: the one that was opened may have been replaced by its owner's compaction before it was locked.
"""

import logging
import os
from pathlib import Path

from kvclient.contract.errors import DataStoreError
from kvd.backend.file.engine.conversion import create, kept_names
from kvd.backend.file.engine.filesystem import untrusted_file_system
from kvd.lock import Lock, is_at

log = logging.getLogger(__name__)


def take(path: Path, temporary: Path, lock: Lock) -> int:
    """Return the data file at `path`, open and locked; it is created if there is none.

    What a crash left at `temporary` is removed. Raises `StoreLockedError` if another process has the file.
    """
    fd = None
    while fd is None:
        try:
            fd = take_existing(path, lock)
        except FileNotFoundError:
            if (fd := create(path, temporary)) is not None:
                log.info("created %s", path)
    temporary.unlink(missing_ok=True)
    return fd


def take_existing(path: Path, lock: Lock) -> int:
    """Do as `take`, and raise `FileNotFoundError` if there is no file."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            lock.guard(fd)
        except BaseException:
            os.close(fd)
            raise
        if is_at(fd, path):
            return fd
        os.close(fd)


def refuse_other_names(fd: int, path: Path) -> None:
    """Raise `DataStoreError` if the open data file has another name than `path`, a hard link.

    A compaction puts another file at the path, and the other name would go on showing the old one as if it were the
    store. Names that a crashed conversion, repair or restore gave it, before it could replace it, are taken away again.
    """
    for why in ("original", "damaged", "replaced"):
        for name in list(kept_names(path, why)):
            name.unlink()
    names = os.fstat(fd).st_nlink
    if names > 1:
        raise DataStoreError(
            f"The data file {path} has {names} names (hard links), of which only one can follow the store"
            f"{_others(fd, path)}. Remove the others, or make it a file of its own: "
            f"cp -p {path} {path}.own && mv {path}.own {path}"
        )
    if names == 0 and untrusted_file_system(path) is None:
        raise DataStoreError(
            f"The data file {path} was replaced or removed where it comes from, and is only mounted here still: "
            "what would be written to it would be lost. Mount it anew, or better the directory that it is in."
        )


def _others(fd: int, path: Path) -> str:
    found = os.fstat(fd)
    with os.scandir(path.parent) as entries:
        others = [entry.name for entry in entries if entry.name != path.name and entry.inode() == found.st_ino]
    return f": {', '.join(sorted(others))} is another" if others else ""
