"""What other programs do to the open file is noticed before the next commit, by what the kernel tells or by looking."""

import errno
import logging
import os

import pytest

from kvclient.contract.errors import StoreCorruptError
from kvd.backend.file.engine import watch
from stores import Opened


class NoInotify:
    """As if the user had no inotify instance left."""

    def __init__(self):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.fixture(params=["told", "looking"], autouse=True)
def way(request, monkeypatch):
    if request.param == "looking":
        monkeypatch.setattr(watch, "Inotify", NoInotify)


@pytest.fixture
def path(memory):
    (memory / "above" / "place").mkdir(parents=True)
    return memory / "above" / "place" / "store.json"


@pytest.fixture(params=["new", "compacted"])
def store(request, path, clock):
    with Opened(path, clock) as store:
        store.create("key1", 1)
        if request.param == "compacted":
            store.compact()
        path.with_name("backup").write_bytes(path.read_bytes())
        store.create("key2", 2)
        yield store


def replace(path):
    path.with_name("backup").rename(path)


def rename(path):
    path.rename(path.with_name("elsewhere"))


def rename_directory_above(path):
    path.parents[1].rename(path.parents[1].with_name("elsewhere"))


def write_a_backup_over_it(path):
    backup = path.with_name("backup").read_bytes()
    path.write_bytes(backup + b" " * (path.stat().st_size - len(backup)))


@pytest.mark.parametrize(
    "interfere",
    [
        replace,
        rename,
        rename_directory_above,
        os.unlink,
        write_a_backup_over_it,
        lambda path: os.truncate(path, 100),
    ],
)
def test_interference_is_noticed_by_the_next_commit(store, path, interfere):
    """It is refused, and writes nothing to what is there now."""
    interfere(path)
    assert_noticed(store, path)


def test_a_writer_who_has_not_yet_closed_the_file_is_noticed(store, path):
    """Not when it is done only, if the file has become longer."""
    with path.open("ab", buffering=0) as file:
        file.write(b" ")
        assert_noticed(store, path)


def assert_noticed(store, path):
    place = path if path.exists() else None
    before = place and place.read_bytes()
    for number in (3, 4):
        with pytest.raises(StoreCorruptError, match=str(path)):
            store.create(f"key{number}", number)
    assert before == (place and place.read_bytes())


def touch(path):
    path.touch()


def link(path):
    path.with_name("another name").hardlink_to(path)


def copy_permissions(path):
    path.chmod(0o640)


def rename_and_back(path):
    rename(path)
    path.with_name("elsewhere").rename(path)


@pytest.mark.parametrize("disturb", [touch, link, copy_permissions, rename_and_back])
def test_what_changes_nothing_is_no_interference(store, path, disturb):
    """As backup programs do it; writing goes on."""
    for number in range(3):
        disturb(path) if number == 0 else path.read_bytes()
        store.create(f"later{number}", number)
    assert {"key1": 1, "key2": 2, "later0": 0, "later1": 1, "later2": 2} == store.contents()


def test_descriptors_are_freed(path, clock):
    """A store that is closed leaves none behind, a compaction neither."""
    with Opened(path, clock) as store:
        store.create("key1", 1)
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        with Opened(path, clock) as store:
            store.compact()
    assert len(before) == len(os.listdir("/proc/self/fd"))


def test_looking_is_told_of(path, clock, caplog, monkeypatch):
    """Who has too many inotify instances reads in the log why commits are slower."""
    monkeypatch.setattr(watch, "Inotify", NoInotify)
    with caplog.at_level(logging.WARNING), Opened(path, clock):
        pass
    (record,) = caplog.records
    assert "Too many open files" in record.getMessage()
    assert str(path) in record.getMessage()
