"""A disk that cannot read a block any more: the place is named, and everything else is saved."""

import json
import os
import shutil

import pytest

from kvclient.contract.errors import DataStoreError, StoreCorruptError
from kvd.backend.file.engine.check import check
from kvd.commands import check as check_command
from kvd.commands import repair as repair_command
from processes import Daemon
from stores import Opened, assert_sound, contents

BLOCK = 4096
THERE = {f"key{number}": "x" * 900 for number in range(40)}


class BadBlocks:
    """Blocks of one file that `os.pread` fails for."""

    def __init__(self, monkeypatch):
        self.blocks = set()
        self.inode = None
        self.pread = os.pread
        monkeypatch.setattr("os.pread", self.read)

    def spoil(self, path, *blocks):
        self.inode, self.blocks = path.stat().st_ino, set(blocks)

    def read(self, fd, length, offset):
        touched = range(offset // BLOCK, (offset + max(length, 1) - 1) // BLOCK + 1)
        if os.fstat(fd).st_ino == self.inode and self.blocks & set(touched) and offset < os.fstat(fd).st_size:
            raise OSError(5, "Input/output error")
        return self.pread(fd, length, offset)


@pytest.fixture
def bad(monkeypatch):
    return BadBlocks(monkeypatch)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "store.json"
    with Opened(path) as store:
        for key, value in THERE.items():
            store.create(key, value)
    return path


def hit(path, block):
    """Return the keys of which something lies in a block."""
    data = path.read_bytes()
    lines = data.split(b"\n")
    found, position = set(), 0
    for line in lines:
        if position < (block + 1) * BLOCK and position + len(line) >= block * BLOCK and b'"key' in line:
            found.add(line.split(b'"key')[1].split(b'"')[0].decode())
        position += len(line) + 1
    return {f"key{number}" for number in found}


@pytest.mark.parametrize("block", [0, 3, "last"])
def test_repair_saves_all_that_can_be_read(path, bad, capsys, block):
    """Check reports the range as damage, exit code 1; the start is refused with the place; repair saves the rest."""
    block = path.stat().st_size // BLOCK if block == "last" else block
    lost = hit(path, block)
    bad.spoil(path, block)
    place = f"bytes {block * BLOCK} to {min((block + 1) * BLOCK, path.stat().st_size) - 1}"

    assert check_command.run(path, as_json=False) == 1
    told = capsys.readouterr().out
    assert place in told or block == 3
    assert "that the disk cannot read (Input/output error)" in told
    with pytest.raises(StoreCorruptError, match="that the disk cannot read") as caught:
        contents(path)
    assert f"kvd repair {path}" in str(caught.value)
    assert repair_command.run(path, as_json=False) == 0
    found = contents(path)
    assert 0 < len(lost) < 10
    assert {key: value for key, value in THERE.items() if key not in lost} == found
    assert_sound(path)
    assert len(list(path.parent.glob("store.json.damaged-*"))) == 1


def test_a_report_for_programs(path, bad, capsys):
    """With --json the range is told in numbers."""
    bad.spoil(path, 3)
    check_command.run(path, as_json=True)
    (damage,) = json.loads(capsys.readouterr().out)["damage"]

    assert [3 * BLOCK, 4 * BLOCK] == damage["unreadable"]


def test_what_a_crash_left_is_not_cut_where_it_cannot_be_read(path, bad):
    """The last commits of a file that was not closed may be what lies there: the start is refused, nothing is cut."""
    store = Opened(path)
    store.create("late", 1)
    end = store.engine._tail.end
    store.crash()
    size = path.stat().st_size
    bad.spoil(path, (end - 10) // BLOCK)
    with pytest.raises(StoreCorruptError, match="that the disk cannot read"):
        contents(path)

    assert size == path.stat().st_size
    assert not check(path).gaps[0].unacknowledged


def test_a_value_that_cannot_be_read_at_run_time(path, bad):
    """Reading it raises an error that names key, file and what to do; other keys are read and written as before, and a
    compaction is given up.
    """
    with Opened(path) as store:
        bad.spoil(path, 3)
        _, key, *_ = sorted(hit(path, 3))  # of the first it may be no more than the end of its line
        with pytest.raises(DataStoreError, match=r"Key '.*' cannot be read: the disk does not give bytes") as caught:
            store.read(key)

        assert (key,) == caught.value.keys
        assert f"'kvd repair {path}'" in str(caught.value)
        assert "x" * 900 == store.read("key39")
        store.create("another", 1)
        with pytest.raises(DataStoreError, match="cannot be read"):
            store.compact()
        store.create("afterwards", 2)
        assert 2 == store.read("afterwards")


def test_the_rescue_saves_what_can_be_read(path, bad):
    """What the daemon saves when somebody replaced the file leaves out the keys that cannot be read."""
    with Opened(path) as store:
        bad.spoil(path, 3)
        lost = hit(path, 3)
        saved = store.engine.rescue(lambda: None)

        found = check(type(path)(saved)).keys.keys()
        assert THERE.keys() - lost <= found < THERE.keys()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_daemon_that_cannot_read_its_file(directory):
    """The start is refused in one line that names the file, and not by a traceback."""
    daemon = Daemon(directory)
    with Opened(daemon.file) as store:
        store.create("key1", 1)
    inject = ("-P", str(daemon.file), "-e", "trace=pread64", "-e", "inject=pread64:error=EIO")
    daemon.prefix = ("strace", "-D", "-f", "-qq", "-o", "/dev/null", *inject)
    assert daemon.launch().wait(timeout=60) == 1

    (line,) = daemon.log.read_text().splitlines()
    assert str(daemon.file) in line
    assert "Input/output error" in line
