"""Commits on a disk that does not take them."""

import contextlib
import errno
import os

import pytest

from kvclient.contract.errors import StoreFullError
from kvd.backend.file.engine import tail
from kvd.backend.file.engine.file import JsonFile
from kvd.backend.file.engine.interface import EngineFailure
from stores import Opened, as_others_read, assert_sound


@pytest.fixture
def path(memory):
    return memory / "store.json"


class Disk:
    """What `os` writes with, on a disk that has room for so many bytes more than a file has."""

    def __init__(self, path, left, patch):
        self.end = path.stat().st_size + left
        self.real_pwrite, self.real_sendfile = os.pwrite, os.sendfile
        patch.setattr(os, "pwrite", self.pwrite)
        patch.setattr(os, "pwritev", self.pwritev)
        patch.setattr(os, "sendfile", self.sendfile)

    def fitting(self, offset):
        if offset >= self.end:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.end - offset

    def pwrite(self, fd, data, offset):
        return self.real_pwrite(fd, bytes(data)[: self.fitting(offset)], offset)

    def pwritev(self, fd, parts, offset):
        return self.pwrite(fd, b"".join(parts), offset)

    def sendfile(self, fd, source, offset, count):
        fitting = self.fitting(os.lseek(fd, 0, os.SEEK_CUR))
        return self.real_sendfile(fd, source, offset, min(count, fitting))


def fail_to_write(fd, data, offset):  # noqa: ARG001
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("left", [0, 1, 60, 30_000, 300_000])
def test_a_short_write_is_undone(path, monkeypatch, left):
    """When the disk is full in the middle of a commit the file is as it was, byte by byte, and goes on."""
    monkeypatch.setattr(tail, "_LEAST_EXTENT_BYTES", 65536)
    with Opened(path) as store:
        store.create("key1", 1)
        before = path.read_bytes()
        with monkeypatch.context() as patch:
            Disk(path, left, patch)
            with pytest.raises(StoreFullError, match="disk"):
                store.batch({"large": "x" * 400_000, "key2": 2})

        assert before == path.read_bytes()
        assert {"key1": 1} == store.contents()
        store.create("key2", 2)
        assert {"key1": 1, "key2": 2} == as_others_read(path)
    assert_sound(path)


def test_any_other_error_of_a_write_ends_all_writing(path, monkeypatch):
    """After EIO nothing more is written, and the next start finds all that was acknowledged."""
    store = Opened(path)
    store.create("key1", 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail_to_write)
        with pytest.raises(EngineFailure):
            store.create("key2", 2)
    with pytest.raises(EngineFailure):
        store.create("key3", 3)
    store.close()

    with Opened(path) as again:
        assert {"key1": 1} == again.contents()


def test_a_failed_sync_is_not_tried_again(path, monkeypatch):
    """After fdatasync failed once it is never called again: it would tell of success."""
    store = Opened(path)
    calls = []

    def fail(fd):
        calls.append(fd)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        patch.setattr(os, "fsync", fail)
        for number in range(3):
            with pytest.raises(EngineFailure):
                store.create(f"key{number}", number)
        with pytest.raises(EngineFailure):
            store.engine.sync()
        store.close()

    assert 1 == len(calls)


def test_where_no_extent_fits_a_commit_gets_what_it_needs(path, monkeypatch):
    """On a disk with less room than the file grows by, commits go on one by one."""
    monkeypatch.setattr(tail, "_LEAST_EXTENT_BYTES", 65536)
    with Opened(path) as store:
        store.create("filler", "x" * 65_000)
        size = path.stat().st_size
        Disk(path, 3000, monkeypatch)
        store.create("key1", "x" * 1000)
        assert size < path.stat().st_size < size + 3000


def fill(store, most):
    """Create keys until the store is full, and return how many."""
    for number in range(1 << 20):
        try:
            store.create(f"key{number}", "x" * (number % 50))
        except StoreFullError:
            return number
        assert store.path.stat().st_size <= most
    return 0


@pytest.mark.parametrize("most", [4096, 5000, 70_000])
def test_the_limit_is_kept_to_the_byte(path, most):
    """Whatever the limit, the file grows up to it and not past it; deletions find room when nothing else does."""
    with Opened(path, max_file_bytes=most) as store:
        number = fill(store, most)
        assert number > 10
        for deleted in range(number):
            store.delete(f"key{deleted}")
            assert path.stat().st_size <= most
        store.create("key", "again")
        assert {"key": "again"} == store.contents()
    assert_sound(path)


def test_a_limit_below_the_size_of_the_file(path):
    """A file may be larger than a limit that was lowered; values are read right before, during and after compaction."""
    with Opened(path) as store:
        values = {f"key{number}": f"{number}" * 300 for number in range(300)}
        for key, value in values.items():
            store.create(key, value)
        for number in range(280):
            store.delete(f"key{number}")
            del values[f"key{number}"]
    with Opened(path, max_file_bytes=40_000) as store:
        for job in store.store.compact():
            assert values == store.contents()
            if job is not None:
                job.run()
        assert values == store.contents()
        assert path.stat().st_size <= 40_000
    assert_sound(path)


def interrupt(*_):
    raise KeyboardInterrupt


def half_write(fd, parts, offset):
    """Write the half, and be interrupted by somebody's Ctrl-C."""
    data = b"".join(parts)
    os.pwrite(fd, data[: len(data) // 2], offset)
    raise KeyboardInterrupt


def half_spaces(fd, count, end, offset):  # noqa: ARG001
    os.pwrite(fd, b" " * (count // 2), offset)
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("module", "name", "instead"),
    [
        (tail, "pwrite_spaces", half_spaces),
        (tail, "pwrite_parts", half_write),
        (os, "fdatasync", interrupt),
        (JsonFile, "apply", interrupt),
    ],
    ids=["growing", "writing", "syncing", "applying"],
)
def test_an_interrupted_commit_leaves_nothing(path, monkeypatch, module, name, instead):
    """Wherever Ctrl-C ends a commit, a shorter one that comes after it leaves one JSON object, and so does the end."""
    with Opened(path) as store:
        if name != "pwrite_spaces":
            store.create("key0", 0)
        before = store.contents()
        with monkeypatch.context() as patch:
            patch.setattr(module, name, instead)
            with pytest.raises(KeyboardInterrupt):
                store.batch({f"key{number}": "x" * 1000 for number in range(1, 10)})

        store.engine.verify()
        assert before == store.contents()
        store.create("short", 1)
        assert {**before, "short": 1} == store.contents() == as_others_read(path)
        with monkeypatch.context() as patch:
            patch.setattr(module, name, instead)
            with contextlib.suppress(KeyboardInterrupt):
                store.create("last", "x" * 1000)
    assert {**before, "short": 1} == {key: value for key, value in as_others_read(path).items() if key != "last"}
    assert_sound(path)


def test_growing_without_descriptors(path, monkeypatch):
    """A process that has as many descriptors as it may can still grow its file."""

    def refuse(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "memfd_create", refuse)
    with Opened(path) as store:
        store.create("key1", 1)
        assert {"key1": 1} == as_others_read(path)


def test_a_failed_rescue_leaves_nothing(path, monkeypatch):
    """On a disk that has no room for it, a rescue leaves no half file and no descriptor."""
    with Opened(path) as store:
        store.create("key1", 1)
        descriptors = os.listdir("/proc/self/fd")
        with monkeypatch.context() as patch:
            Disk(path, -path.stat().st_size, patch)
            with pytest.raises(OSError, match="No space"):
                store.engine.rescue(lambda: None)
        assert descriptors == os.listdir("/proc/self/fd")
        assert [] == list(path.parent.glob("*rescued*"))
