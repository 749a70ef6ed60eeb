"""Fixtures for tests of the backend in the daemon's loop."""

import errno
import time

import pytest
from loop import Loop

from kvd.backend.file.engine import tail


@pytest.fixture
def loop(directory, clock, monkeypatch):
    monkeypatch.setattr(time, "time", clock)
    loop = Loop(directory / "store.json")
    loop.store._clock = loop.store.keys.clock = clock
    yield loop
    loop.close()


@pytest.fixture
def fill_disk(monkeypatch):
    """Have the disk refuse so many writes; return how many are left to be refused."""

    def fill(times):
        write, left = tail.pwrite_parts, [times]

        def refuse(*arguments):
            if left[0] > 0:
                left[0] -= 1
                raise OSError(errno.ENOSPC, "No space left on device")
            write(*arguments)

        monkeypatch.setattr(tail, "pwrite_parts", refuse)
        return left

    return fill
