"""The end of the open data file: where the next commit is written, in place of the spaces before the closing brace.

Invariants kept here:
- `end` is where the next commit goes; from there to the closing brace at `size - 2` the file is spaces: at least one,
  from the first commit on that is written to an open file.
- A failed write leaves the file as it was before, or nothing more is written at all.
"""

import errno
import os
import time
from pathlib import Path

from kvclient.contract.errors import StoreFullError
from kvd.backend.file.engine.format import CLOSING, OPEN_END, Encoded
from kvd.backend.file.engine.interface import EngineFailure
from kvd.backend.file.engine.snapshot import close_at, pwrite_all, pwrite_parts, pwrite_spaces
from kvd.backend.file.engine.watch import Watch
from kvd.histogram import Histogram

# By how much the file grows at a time. Overwriting spaces costs a fifth to a third less per fdatasync than growing the
# file at each commit. And whenever it grows the closing brace moves, which a program that has read the brace and not
# yet met the end of the file can see; jq, for one, works on what it has read in between. So it should grow seldom: a
# small file doubles, which is ten times until it has a megabyte, and yet shows a person who looks into it no screens
# of spaces; then it is a megabyte at a time, or an eighth. Larger steps would make the commit that grows it wait longer
# (1 MiB 1 to 3 ms, 4 MiB 13 ms).
_LEAST_EXTENT_BYTES, _USUAL_EXTENT_BYTES, _MOST_EXTENT_BYTES = 1 << 10, 1 << 20, 4 << 20
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Tail:
    """Writes commits behind one another, one at a time: `write`, then `advance`."""

    def __init__(self, path: Path, fd: int, end: int, max_file_bytes: int) -> None:
        """`fd` is the file at `path`, whose last commit ends at `end`. `close` closes it."""
        self._path = path
        self._max_file_bytes = max_file_bytes
        self.fd = fd
        """-1 once it is closed."""
        self.end = end
        """Where the next commit goes."""
        self.size = os.fstat(fd).st_size
        """Bytes of the file."""
        self.watch = Watch(path, fd)
        self.syncs = Histogram()
        """How long they took."""
        self._failed: str | None = None
        self._written: tuple[Encoded, int] | None = None
        """A commit that is being written, or was and is not yet part of the file, and the size of the file before it.
        """

    @property
    def failed(self) -> bool:
        """Whether nothing more may be written."""
        return self._failed is not None

    def check(self) -> None:
        """Raise `EngineFailure` if nothing more may be written."""
        if self._failed is not None:
            raise EngineFailure(self._failed)

    def write(self, staged: Encoded) -> None:
        """Write a commit. Where that fails the file is as before; see `Engine.write` for what is raised."""
        if self._failed is not None:
            raise EngineFailure(self._failed)
        if self._written is not None:  # its writer was interrupted
            self._undo()
        self.watch.glance()
        self._written = staged, self.size
        last = staged.parts[-1]
        try:
            if staged.stop > self.size - len(OPEN_END):
                self.extend(staged.stop)
            pwrite_parts(self.fd, staged.parts, staged.offset)
            self.watch.expect(last, staged.stop - len(last), size=self.size)
        except OSError as error:
            self._undo()
            if error.errno not in _NO_SPACE:
                raise self.fail("written to", error) from None
            raise StoreFullError(
                f"The disk of {self._path} is full ({error.strerror}). Nothing was changed; "
                "writing resumes when there is room."
            ) from None
        except BaseException:
            self._undo()
            raise

    def advance(self, stop: int) -> None:
        """Take note that the commit up to `stop` is part of the file."""
        self.end = stop
        self._written = None

    def settle(self) -> None:
        """Undo a commit whose writer was interrupted."""
        if self._written is not None:
            self._undo()

    def _undo(self) -> None:
        """Bring the file back to what it was before `write`: as long, and spaces from the last commit on."""
        assert self._written is not None
        staged, size = self._written
        self.size = size
        kept = size - len(CLOSING)
        try:
            if (overwritten := min(staged.stop, kept) - staged.offset) > 0:
                pwrite_all(self.fd, b" " * overwritten, staged.offset)
            self._restore_size()
            self.watch.expect(b"", kept, size=size)
            self._written = None
        except OSError as error:
            raise self.fail("restored", error) from None

    def extend(self, stop: int) -> None:
        """Move the closing brace so that a commit can end at `stop`; by a whole extent where there is room for it."""
        needed = stop + len(OPEN_END)
        extent = max(_LEAST_EXTENT_BYTES, min(self.size, _USUAL_EXTENT_BYTES), self.size // 8)
        extent = min(extent, _MOST_EXTENT_BYTES)
        wanted = max(needed, min(self.size + extent, self._max_file_bytes))
        brace = self.size - len(CLOSING)
        for size in (wanted, needed):
            try:
                pwrite_spaces(self.fd, size - len(CLOSING) - brace, CLOSING, brace)
            except OSError as error:
                if error.errno not in _NO_SPACE or size == needed:
                    raise
                self._restore_size()
            else:
                self.size = size
                return

    def _restore_size(self) -> None:
        os.pwrite(self.fd, CLOSING, self.size - len(CLOSING))
        os.ftruncate(self.fd, self.size)

    def sync(self) -> None:
        """Make all that was written durable. Raises `EngineFailure`."""
        started = time.monotonic()
        try:
            os.fdatasync(self.fd)
            self.syncs.note(time.monotonic() - started)
        except OSError as error:
            # The kernel may have dropped the pages and would report success the next time: never try again.
            raise self.fail("synced to disk", error) from None

    def fail(self, what: str, error: OSError) -> EngineFailure:
        """Have nothing more written, since the file could not be `what`; return what tells so."""
        self._failed = (
            f"The data file {self._path} could not be {what}: {error}. What is on disk shows at the next start."
        )
        return EngineFailure(self._failed)

    def lose(self) -> None:
        """Have nothing more written, since a compaction was interrupted behind the rename."""
        if self._failed is None:
            self._failed = f"The compaction of {self._path} was interrupted. What is on disk shows at the next start."

    def follow(self, fd: int, end: int) -> None:
        """Go on at the end of the file that has taken this one's place, which is closed right behind `end`."""
        self.fd, self.size = fd, end + len(CLOSING)
        self.advance(end)
        self.watch.follow(fd, self.size)

    def trim(self) -> None:
        """Cut the spaces and make the file durable. Raises `StoreCorruptError` or `EngineFailure`."""
        self.settle()
        self.watch.verify()
        try:
            close_at(self.fd, self.end, self.size)
            os.fsync(self.fd)
        except OSError as error:
            raise self.fail("closed", error) from None

    def close(self) -> None:
        """Close the file as it is."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self.watch.close()
