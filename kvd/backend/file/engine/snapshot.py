"""Writing a new data file from entries: for compaction, conversion, repair and rescue."""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from kvd.backend.file.engine.format import AFTER_VALUE, CLOSING, HEADER, encode_commit
from kvd.backend.file.engine.interface import NEVER, Clear, Commit, Outcome, Put, Removal
from kvd.backend.file.engine.outcomes import grouped

# Entries share a commit up to this size: small enough that a bad disk block costs few of them, large enough that the
# marker adds less than 1 %.
GROUP_BYTES = 8192
# More than a file is ever grown by. What is longer than this is no spaces, but what a damaged file ends with.
_MOST_SPACES = 16 << 20
_BUFFER_BYTES = 256 * 1024
_SPACES = b" " * (64 * 1024)
_MOST_PARTS = 1024
"""What one call writes: `IOV_MAX`."""
NO_SECOND_NAMES = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What `os.link` fails with on FAT and some network file systems."""


class Snapshot:
    """A data file being written at a path of its own, to be renamed into place by whoever asked for it."""

    def __init__(self, path: Path, revision: int) -> None:
        """Create `path`, which must not exist. Every commit in it gets `revision`.

        It is locked from the start: there is no moment at which it is in place and others may have it.
        """
        self.path = path
        self._pid = os.getpid()
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # where there are no locks, the lock file's has already failed
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._revision = revision
        self._changes: list[tuple[str, Put | Removal]] = []
        self._group_bytes = 0
        self._buffer = [HEADER]
        self._written = 0
        self.end = len(HEADER)
        self.placed: list[int] = []
        """Offsets of the values of the groups that `add` and `flush` have completed since they were last taken."""

    def resemble(self, fd: int) -> None:
        """Take over owner and permissions of the file that it is to replace."""
        found, own = os.fstat(fd), os.fstat(self.fd)
        mode = stat.S_IMODE(found.st_mode)
        if (found.st_uid, found.st_gid) != (own.st_uid, own.st_gid):
            try:
                os.fchown(self.fd, found.st_uid, found.st_gid)
            except PermissionError:  # a group that is not ours, say: then ours gets no rights by it
                mode &= ~stat.S_IRWXG
        os.fchmod(self.fd, mode)

    def add(self, key: str, put: Put) -> None:
        """Add an entry. Keys must not repeat."""
        self._changes.append((key, put))
        self._group_bytes += len(put.value) + len(key) + 64
        if self._group_bytes >= GROUP_BYTES:
            self._close_group()

    def _close_group(self, outcomes: dict[str, Outcome] | None = None, clear: Clear | None = None) -> None:
        commit = Commit(self._revision, NEVER, self._changes, outcomes or {}, clear)
        encoded = encode_commit(commit, self.end, aligned=False, timed=False)
        self._buffer += encoded.parts
        self.placed += [
            line_end - AFTER_VALUE - len(put.value)
            for (line_end, _), (_, put) in zip(encoded.lines, self._changes, strict=True)
            if isinstance(put, Put)
        ]
        self.end = encoded.stop
        self._changes = []
        self._group_bytes = 0
        if self.end - self._written >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._buffer)
        self._buffer = []
        pwrite_all(self.fd, data, self._written)
        self._written += len(data)

    def remember(self, outcomes: dict[str, Outcome]) -> None:
        """Write all that was added, and `outcomes`, to the file."""
        if self._changes:
            self._close_group()
        if outcomes or self.end == len(HEADER):  # with nothing in it, there must be a commit to tell the revision
            self._close_group(outcomes)
        self._flush()

    def finish(self, outcomes: dict[str, Outcome], clears: Iterable[Clear] = ()) -> None:
        """Write all that was added, `outcomes` and `clears`. The file has no closing brace yet."""
        for group in grouped(outcomes):
            self.remember(group)
        self.write_clears(clears)

    def write_clears(self, clears: Iterable[Clear]) -> None:
        """Write a commit for each clear that is not cleared yet."""
        for clear in clears:
            self._close_group(clear=clear)
        self._flush()

    def write_gap(self) -> None:
        """Write a commit that says that removals are not told, those of the keys that were left out."""
        self._close_group()
        self._flush()

    def close_object(self) -> None:
        """Write the closing brace."""
        pwrite_all(self.fd, CLOSING, self.end)

    def publish(self, target: Path) -> None:
        """Make the snapshot durable and put it in the place of `target`; then it is there whole, or not at all."""
        os.fdatasync(self.fd)
        os.rename(self.path, target)
        sync_directory(target)

    def publish_new(self, target: Path) -> bool:
        """Do as `publish` where nothing is at `target`; tell whether that was so. What is there is not replaced."""
        os.fdatasync(self.fd)
        try:
            os.link(self.path, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_SECOND_NAMES:
                raise
            os.rename(self.path, target)
        else:
            self.path.unlink()
        sync_directory(target)
        return True

    def discard(self) -> None:
        """Close and remove it."""
        self.leave()
        if os.getpid() == self._pid:
            self.path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Close it: all that a forked child may do with it. Does nothing the second time."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def pwrite_all(fd: int, data: bytes, offset: int) -> None:
    """Write all of `data`; a short write is continued, so that its reason surfaces as an `OSError`."""
    written = os.pwrite(fd, data, offset)
    while written < len(data):
        written += os.pwrite(fd, memoryview(data)[written:], offset + written)


def pwrite_parts(fd: int, parts: list[bytes], offset: int) -> None:
    """Write all `parts`, one behind the other, without putting them together first."""
    if len(parts) == 1:
        if (written := os.pwrite(fd, parts[0], offset)) < len(parts[0]):
            pwrite_all(fd, parts[0][written:], offset + written)
        return
    for first in range(0, len(parts), _MOST_PARTS):
        some = parts[first : first + _MOST_PARTS]
        size = sum(map(len, some))
        if (written := os.pwritev(fd, some, offset)) < size:
            pwrite_all(fd, b"".join(some)[written:], offset + written)
        offset += size


def pwrite_spaces(fd: int, count: int, end: bytes, offset: int) -> None:
    """Write so many spaces and then `end`, at a place that will be overwritten bit by bit.

    The kernel caches what is written at once in as large a folio as it can, and goes through all the blocks of a folio
    for each later write and sync of one of them. By way of sendfile, still in one call, it is 64 KiB at a time.
    """
    whole, rest = divmod(count, len(_SPACES))
    parts = [_SPACES] * whole + [_SPACES[:rest] + end]
    if not whole:
        pwrite_parts(fd, parts, offset)
        return
    try:
        source = os.memfd_create("kvd")
    except OSError:  # no descriptor is left, or it is forbidden
        pwrite_parts(fd, parts, offset)
        return
    try:
        pwrite_parts(source, parts, 0)
        os.lseek(fd, offset, os.SEEK_SET)
        size, sent = count + len(end), 0
        while sent < size:
            sent += os.sendfile(fd, source, sent, size - sent)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        pwrite_parts(fd, parts, offset)  # the file system takes nothing this way
    finally:
        os.close(source)


def close_at(fd: int, end: int, size: int) -> None:
    """Close the object at `end` of a file of `size` bytes and cut what follows; between the two that is spaces.

    All before that is durable first: to those who open the file, its end will say so.
    """
    os.fdatasync(fd)
    spaces = size - end - len(CLOSING)
    pwrite_all(fd, CLOSING + b" " * (spaces if spaces < _MOST_SPACES else 0), end)
    os.ftruncate(fd, end + len(CLOSING))


def sync_directory(path: Path) -> None:
    """Make the creation, renaming or removal of `path` durable."""
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
