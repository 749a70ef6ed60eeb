"""Copying a data file while its owner writes to it: a copy that is whole, and newer than the moment it was asked for.

The file is a log: whatever was acknowledged before it was opened here lies in it, in order, in commits that are whole.
So the commits from its first byte on, up to one that ends later than that moment, are a store of one moment. Neither a
compaction, which puts another file at the path, nor a write changes what was read: the open file stays, and is only
added to. No commit waits for it, and the daemon does not even notice.
"""

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from kvclient.contract.errors import DataStoreError, StoreCorruptError
from kvd.backend.file.engine.content import Content
from kvd.backend.file.engine.format import CLOSING, is_closed
from kvd.backend.file.engine.reading import pread
from kvd.backend.file.engine.scan import damage_at, is_ours
from kvd.backend.file.engine.snapshot import pwrite_all, sync_directory

# While the owner writes, the last commit may be half there for a moment: then it is looked at again.
_LOOKS, _LOOK_SECONDS = 40, 0.05
_CHUNK_BYTES = 4 << 20


class Copied(NamedTuple):
    """What a backup has."""

    path: Path
    bytes: int
    keys: int
    """Live keys, expired ones included whose removal is not recorded."""
    revision: int


def backup(path: Path, target: Path) -> Copied:
    """Copy the data file at `path`, which may be in use, to `target`.

    The copy has mode 0600, is written beside its place, examined and renamed: it is there whole and sound, or what was
    at `target` stays. It has everything that was acknowledged before this was called. Raises `StoreCorruptError` if the
    file is damaged or no data file, and `DataStoreError` if a file cannot be read or written.
    """
    target = target.absolute()
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DataStoreError(f"The data file {path} cannot be read: {error.strerror}.") from None
    try:
        _refuse(path, source, target)
        end = _end_of_commits(source, path)
        try:
            return _copy(source, end, target)
        except OSError as error:
            if isinstance(error, DataStoreError):
                raise
            raise DataStoreError(f"The backup {target} cannot be written: {error.strerror}.") from None
    finally:
        os.close(source)


def _refuse(path: Path, source: int, target: Path) -> None:
    if not is_ours(source, path):
        raise StoreCorruptError(f"{path} is not a data file, or a plain JSON file that no daemon has opened yet.")
    with contextlib.suppress(FileNotFoundError):
        found = target.stat()
        if os.path.samestat(os.fstat(source), found):
            raise DataStoreError(f"{target} is the data file itself. A backup needs another path.")
        if not target.is_file():
            raise DataStoreError(f"{target} is not a regular file. A backup needs a path of its own.")


def _end_of_commits(fd: int, path: Path) -> int:
    """Verify all commits, and return where the last one ends that was whole when it was looked at.

    Where the last one is not whole it is looked at again, until it is or has been for two seconds: the end that its
    owner is writing, or that a crash left, is told from damage, which is never taken for an end.
    """
    content = Content(fd, path)
    for look in range(_LOOKS):
        before = content.end
        content.read_on()
        if look and content.end > before:  # what was half there has become whole, so there was no damage
            return content.end
        if _is_closed(fd, content.end):
            return content.end
        time.sleep(_LOOK_SECONDS)
    damage = damage_at(fd, content.end, os.fstat(fd).st_size, content.revision)
    if damage is None or damage.torn:
        return content.end
    raise StoreCorruptError(
        f"The data file {path} has {damage}. No backup was made; 'kvd check {path}' tells more.", damage.keys
    )


def _is_closed(fd: int, end: int) -> bool:
    """Tell whether nothing but spaces and the closing brace follows the last commit."""
    size = os.fstat(fd).st_size
    while end < size:
        data = pread(fd, min(size - end, _CHUNK_BYTES), end)
        if end + len(data) >= size:
            return is_closed(data)
        if data.strip(b" \n"):
            return False
        end += len(data)
    return False


def _copy(source: int, end: int, target: Path) -> Copied:
    fd, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # mode 0600
    try:
        position = 0
        while position < end:
            position += os.sendfile(fd, source, position, min(end - position, _CHUNK_BYTES)) or end
        pwrite_all(fd, CLOSING, end)  # one that another program cut meanwhile is found to be damaged
        os.fsync(fd)
        copied = _verified(fd, target)
        os.rename(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    finally:
        os.close(fd)
    sync_directory(target)
    return copied


def _verified(fd: int, target: Path) -> Copied:
    """Read the copy, and return what is in it. Raises `StoreCorruptError` if that is not what was read before."""
    content = Content.whole(fd, target)
    return Copied(target, os.fstat(fd).st_size, len(content), content.revision)
