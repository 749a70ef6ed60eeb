"""Noticing that another program changed, replaced or removed the data file while it is open.

Cheap enough to be done before every commit: one `stat` of the path. Only if its time stamps say that somebody touched
the file are bytes compared, those at both ends, so that a mere `touch` or a copy by a backup program is not an alarm.
"""

import os
from pathlib import Path

from kvclient.errors import StoreCorruptError
from kvd.engine.jsonfile.format import CLOSING, HEADER

_COMPARED = 256


class Watch:
    """What the file at a path looked like after our own last change to it."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._follow(fd)

    def _follow(self, fd: int) -> None:
        found = os.fstat(fd)
        self._fd = fd
        self._identity = (found.st_dev, found.st_ino)
        self._successor: tuple[int, int] | None = None
        self._size = found.st_size
        self._modified = found.st_mtime_ns
        self._last = b""
        self._last_at = 0

    def expect(self, last: bytes, offset: int, *, size: int) -> None:
        """Take note of our own write of `last` at `offset`, after which the file has `size` bytes."""
        self._size = size
        self._modified = os.fstat(self._fd).st_mtime_ns
        self._last = last[-_COMPARED:]
        self._last_at = offset + len(last) - len(self._last)

    def expect_replacement(self, fd: int | None) -> None:
        """Take note that the file `fd` is about to be renamed to the path; None: that it is not, after all."""
        found = os.fstat(fd) if fd is not None else None
        self._successor = (found.st_dev, found.st_ino) if found is not None else None

    def replaced(self, fd: int) -> None:
        """Take note that it has been."""
        self._follow(fd)

    def verify(self) -> None:
        """Raise `StoreCorruptError` if the path is not the file that is open, as we left it."""
        try:
            found = os.stat(self._path)
        except OSError as error:
            self._fail(f"can no longer be found ({error.strerror})")
        identity = (found.st_dev, found.st_ino)
        if identity != self._identity:
            if identity == self._successor:
                return
            self._fail("was replaced by another file")
        if found.st_size != self._size:
            self._fail(f"has {found.st_size} bytes, not the {self._size} that were written")
        if found.st_mtime_ns != self._modified:
            head = os.pread(self._fd, len(HEADER), 0)
            last = os.pread(self._fd, len(self._last), self._last_at)
            closing = os.pread(self._fd, len(CLOSING), self._size - len(CLOSING))
            if (head, last, closing) != (HEADER, self._last, CLOSING):
                self._fail("was written to by another program")
            self._modified = found.st_mtime_ns

    def _fail(self, what: str) -> None:
        raise StoreCorruptError(f"The data file {self._path} {what} while it was open; nothing more is written to it.")
