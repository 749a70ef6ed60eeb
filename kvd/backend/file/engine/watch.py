"""Noticing that another program changed, replaced or removed the data file while it is open.

Done before every commit, so it has to be cheap, for the disk as well: since Linux 6.13 a write that follows a `stat`
puts a new, exact time of modification into the file system's journal, and the commit takes half as long again. So the
kernel is asked whether somebody moved, removed or wrote to the file, and how long it is. Only if somebody did, and now
and then, the path and the file's ends are looked at.
"""

import contextlib
import logging
import os
from pathlib import Path
from typing import NoReturn

from kvclient.contract.errors import StoreCorruptError
from kvd.backend.file.engine.format import CLOSING, HEADER
from kvd.backend.file.engine.inotify import ATTRIBUTES, CLOSED_BY_WRITER, MOVED, Inotify

log = logging.getLogger(__name__)

_COMPARED = 256


class Watch:
    """What the file at a path looked like after our own last change to it."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._inotify: Inotify | None = None
        try:
            self._inotify = Inotify()
            for directory in path.parents:
                with contextlib.suppress(PermissionError):  # one that may be passed and not read
                    self._inotify.add(str(directory), MOVED)
        except OSError as error:
            self._do_without(error)
        self.follow(fd, os.fstat(fd).st_size)

    def _do_without(self, error: OSError) -> None:
        log.warning("the kernel cannot tell who changes %s (%s); each commit looks, which is slower", self._path, error)
        self.close()

    def follow(self, fd: int, size: int) -> None:
        """Watch the file that is open as `fd`, has `size` bytes and lies at the path, from now on."""
        self._fd = fd
        self._successor: int | None = None
        self._unsure = True
        if self._inotify is not None:
            try:
                self._inotify.add(f"/proc/self/fd/{fd}", ATTRIBUTES | CLOSED_BY_WRITER | MOVED)
            except OSError as error:
                self._do_without(error)
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
        """Raise `StoreCorruptError` if the file was replaced, removed or cut, or another program wrote to its ends and
        closed it.
        """
        if self._unsure or self._inotify is None or self._inotify.happened():
            self.verify()
        elif os.lseek(self._fd, 0, os.SEEK_END) != self._size:
            self._verify_size()

    def verify(self) -> None:
        """Raise `StoreCorruptError` if the path is not the file that is open, or not as we left it at either end."""
        self._unsure = True
        if self._inotify is not None:
            self._inotify.happened()  # what happens from now on shows in the next glance
        self._verify_identity()
        self._verify_size()
        try:
            first = os.pread(self._fd, len(HEADER), 0)
            last = os.pread(self._fd, len(self._last), self._last_at)
            closing = os.pread(self._fd, len(CLOSING), self._size - len(CLOSING))
        except OSError as error:
            self._fail(f"can no longer be read ({error.strerror})")
        if (first, last, closing) != (HEADER, self._last, CLOSING):
            self._fail("was written to by another program")
        self._unsure = False

    def _verify_identity(self) -> None:
        try:
            found = os.stat(self._path)
        except OSError as error:
            self._fail(f"can no longer be found ({error.strerror})")
        if not any(os.path.samestat(found, os.fstat(fd)) for fd in (self._fd, self._successor) if fd is not None):
            self._fail("was replaced by another file")

    def _verify_size(self) -> None:
        size = os.lseek(self._fd, 0, os.SEEK_END)
        if size != self._size:
            self._fail(f"has {size} bytes, not the {self._size} that were written")

    def _fail(self, what: str) -> NoReturn:
        raise StoreCorruptError(f"The data file {self._path} {what} while it was open; nothing more is written to it.")

    def close(self) -> None:
        """Watch no more."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None
