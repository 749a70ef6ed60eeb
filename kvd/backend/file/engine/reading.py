"""Reading a file that a disk no longer gives all of: what cannot be read is told apart, block by block."""

import errno
import os
from itertools import pairwise

_BLOCK = 4096


def pread(fd: int, length: int, offset: int) -> bytes:
    """Do as `os.pread`, with zeros for the blocks that the disk cannot read: no commit is whole with those in it."""
    try:
        return os.pread(fd, length, offset)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    length = max(0, min(length, os.fstat(fd).st_size - offset))
    return b"".join(
        bytes(stop - start) if data is None else data for start, stop, data in _blocks(fd, offset, offset + length)
    )


def unreadable(fd: int, start: int, stop: int) -> tuple[int, int] | None:
    """Return where what cannot be read between two offsets begins and ends; None if all of it can."""
    bad = [(a, b) for a, b, data in _blocks(fd, start, stop) if data is None]
    return (bad[0][0], bad[-1][1]) if bad else None


def _blocks(fd: int, start: int, stop: int) -> list[tuple[int, int, bytes | None]]:
    edges = [start, *range((start // _BLOCK + 1) * _BLOCK, stop, _BLOCK), stop]
    return [(a, b, _block(fd, a, b)) for a, b in pairwise(edges) if a < b]


def _block(fd: int, start: int, stop: int) -> bytes | None:
    try:
        return os.pread(fd, stop - start, start)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return None
