"""Noticing that another program changed, replaced or removed the data file while it is open.

Done before every commit, so it has to be cheap, for the disk as well: since Linux 6.13 a write that follows a `stat`
puts a new, exact time of modification into the file system's journal, and the commit takes half as long again. So the
name of the open file is asked for (in /proc), its size and its first bytes; now and then also those at the end.
"""

import os
from pathlib import Path

from kvclient.errors import StoreCorruptError
from kvd.engine.jsonfile.format import CLOSING, HEADER

_COMPARED = 256
_HEADER_BYTES = len(HEADER)


class Watch:
    """What the file at a path looked like after our own last change to it."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self.follow(fd, os.fstat(fd).st_size)

    def follow(self, fd: int, size: int) -> None:
        """Watch the file that is open as `fd`, has `size` bytes and lies at the path, from now on."""
        self._fd = fd
        self._name = _name(fd)
        self._successor: int | None = None
        self.expect(b"", size, size=size)

    def expect(self, last: bytes, offset: int, *, size: int) -> None:
        """Take note of our own write of `last` at `offset`, after which the file has `size` bytes."""
        self._size = size
        self._last = last[-_COMPARED:]
        self._last_at = offset + len(last) - len(self._last)

    def expect_replacement(self, fd: int | None) -> None:
        """Take note that the file `fd` is about to be renamed to the path; None: that it is not, after all."""
        self._successor = fd

    def glance(self) -> None:
        """Raise `StoreCorruptError` if the file was replaced, removed or cut, or is being written anew."""
        if self._name is None or _name(self._fd) != self._name:
            # It was removed or renamed, or a directory above it was, with another to the same place, or there is no
            # /proc: look closer.
            self._verify_identity()
        size = os.lseek(self._fd, 0, os.SEEK_END)
        if size != self._size:
            self._fail(f"has {size} bytes, not the {self._size} that were written")
        if os.pread(self._fd, _HEADER_BYTES, 0) != HEADER:
            self._fail("was written to by another program")

    def verify(self) -> None:
        """Raise `StoreCorruptError` if the path is not the file that is open, or not as we left it at either end."""
        self.glance()
        last = os.pread(self._fd, len(self._last), self._last_at)
        closing = os.pread(self._fd, len(CLOSING), self._size - len(CLOSING))
        if (last, closing) != (self._last, CLOSING):
            self._fail("was written to by another program")

    def _verify_identity(self) -> None:
        try:
            found = os.stat(self._path)
        except OSError as error:
            self._fail(f"can no longer be found ({error.strerror})")
        if os.path.samestat(found, os.fstat(self._fd)):
            self._name = _name(self._fd)
        elif self._successor is None or not os.path.samestat(found, os.fstat(self._successor)):
            self._fail("was replaced by another file")

    def _fail(self, what: str) -> None:
        raise StoreCorruptError(f"The data file {self._path} {what} while it was open; nothing more is written to it.")


def _name(fd: int) -> str | None:
    """Return the path at which an open file lies now; it ends with ` (deleted)` if it was removed."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return None
