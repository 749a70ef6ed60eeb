"""Opening a file: the tail that a crash tore is cut, damage is refused, and both are named."""

import logging
import os
import zlib

import pytest

from kvclient.contract.errors import DataStoreError, StoreCorruptError, StoreLockedError
from kvd.backend.file.engine.check import check
from kvd.backend.file.engine.filesystem import untrusted_file_system
from kvd.backend.file.engine.format import CLOSING, HEADER, OPEN_END, encode_commit
from kvd.backend.file.engine.interface import NEVER, Commit, Put
from kvd.backend.file.engine.repair import repair
from stores import Opened, as_others_read, assert_sound, contents, create


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.json"


TIME = 1_800_000_000.0


def write(path, *commits):
    """Write a file of commits given as revision, key and `synced`; None is damage."""
    data = HEADER
    for commit in commits:
        if commit is None:
            data += b',"":{"crc":"00000000","bytes":       10,"revision":9},"lost":{"revision":2,"value":\x00}\n'
            continue
        revision, key, synced = commit
        data += encode_commit(
            Commit(revision, TIME, [(key, Put(b"1", revision, NEVER))], {}), len(data), synced=synced, aligned=False
        ).data
    path.write_bytes(data + OPEN_END)


def test_a_torn_tail_is_cut_and_named(path, caplog):
    """What stands behind the last whole commit goes, with a warning that tells the place, the bytes and the commit."""
    write(path, (1, "a", None), None)
    size = path.stat().st_size
    found = contents(path)

    assert {"a": 1} == found
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "an unfinished commit at byte 136 (line 3)" in record.message
    assert f"cutting {size - 136} bytes behind revision 1" in record.message
    assert_sound(path)


def test_damage_before_whole_commits_is_refused_and_named(path):
    """With a durable commit behind it, it once was whole: the place, the line, a key and the commands are told."""
    write(path, (1, "a", None), None, (3, "b", None))
    before = path.read_bytes()
    with pytest.raises(StoreCorruptError) as caught:
        contents(path)

    assert "damage at byte 136 (line 3)" in str(caught.value)
    assert f"'kvd repair {path}'" in str(caught.value)
    assert ("lost",) == caught.value.keys
    assert before == path.read_bytes()


@pytest.mark.parametrize(("synced", "torn"), [(1, True), (2, False), (None, False)])
def test_commits_that_were_not_forced_to_disk_prove_nothing(path, synced, torn):
    """With sync=never the disk may get later commits before earlier ones: then all behind the hole is unacknowledged,
    unless a commit says that the lost one was durable.
    """
    write(path, (1, "a", None), None, (3, "b", synced))
    if torn:
        assert {"a": 1} == contents(path)
    else:
        with pytest.raises(StoreCorruptError):
            contents(path)


def test_only_the_closing_brace_is_missing(path):
    """A file that ends right behind a commit is whole; it is closed again."""
    write(path, (1, "a", None))
    path.write_bytes(path.read_bytes().removesuffix(CLOSING))

    assert "no closing brace" in str(check(path).gaps[0])
    assert {"a": 1} == contents(path)
    assert {"a": 1} == as_others_read(path)


def test_a_file_of_a_later_version_is_left_alone(path):
    """What a later version wrote is neither taken for damage nor for a plain JSON file."""
    body = b'"kvd":3}'
    path.write_bytes(b'{"":{"crc":"%08x",%s\n}\n' % (zlib.crc32(body), body))
    before = path.read_bytes()

    with pytest.raises(StoreCorruptError, match="format 3"):
        contents(path)
    with pytest.raises(StoreCorruptError, match="format 3"):
        check(path)
    assert before == path.read_bytes()


VERSION_1 = b"""{"":{"crc":"2d2790cc","kvd":1}
,"":{"crc":"e34c49fd","bytes":        1,"revision":0}
,"":{"crc":"22786fec","bytes":       75,"revision":1,"ids":{"worker-7f3a":[42,1]}},"key1":{"revision":1,"expires_at":1800000005.0,"value":{"name":"value1"}}
,"":{"crc":"44f8c1ba","bytes":       68,"revision":2},"key2":{"revision":2,"value":7}
,"key3":{"revision":2,"value":[1]}
,"":{"crc":"ab24d419","bytes":       13,"revision":3},"key2":null
}
"""  # noqa: E501


@pytest.mark.parametrize("killed", [False, True])
def test_a_file_of_version_1_is_carried_over(path, clock, killed):
    """All in it is kept, requests that were carried out too; its header becomes that of version 2, before any commit,
    and so it stays, however the store ends.
    """
    path.write_bytes(VERSION_1)
    assert_sound(path)
    store = Opened(path, clock)
    assert VERSION_1.replace(VERSION_1[: len(HEADER)], HEADER) == path.read_bytes()
    assert {"key1": {"name": "value1"}, "key3": [1]} == store.contents()
    assert [1] == store.do(create("key1", 1, id="worker-7f3a:42"))
    assert 3 == store.engine.history_from
    store.create("key4", 4)
    store.crash() if killed else store.close()

    assert {"key1": {"name": "value1"}, "key3": [1], "key4": 4} == contents(path, clock)
    with Opened(path, clock) as store:
        assert ["key4"] == [event.key for event in store.engine.history(3) if event]
    assert_sound(path)


def test_a_file_of_version_1_is_repaired(path, clock):
    """What is damaged in it is mended as in one of version 2."""
    path.write_bytes(VERSION_1.replace(b'"value":7', b'"value":x'))
    assert not check(path).sound
    assert repair(path).kept is not None
    assert {"key1": {"name": "value1"}} == contents(path, clock)
    assert path.read_bytes().startswith(HEADER)


def test_a_new_file_is_private_and_small(path):
    """A file is created with mode 0600, and trimmed to its commits when it is closed."""
    with Opened(path) as store:
        store.create("key1", 1)
        assert 1000 < path.stat().st_size < 2000  # with room for the next commits, and no screens of spaces
        assert {"key1": 1} == as_others_read(path)

    assert 0o600 == path.stat().st_mode & 0o777
    assert path.stat().st_size < 300


def test_a_locked_file_names_its_owner(path):
    """Whoever opens the file second is told who has it."""
    with Opened(path), pytest.raises(StoreLockedError, match=f"process {os.getpid()}"):
        Opened(path)


def test_outcomes_are_remembered_in_the_file(path):
    """The same request again, after a crash, is answered with its own success."""
    store = Opened(path)
    revision = store.create("key1", 1, id="client:1")
    store.crash()

    with Opened(path) as store:
        assert [revision] == store.do(create("key1", 1, id="client:1"))


MOUNTS = "36 35 {device} / /home rw shared:1 - {kind} server:/home rw\n"


@pytest.mark.parametrize(
    ("kind", "name"), [("ext4", None), ("nfs4", "nfs4"), ("cifs", "cifs"), ("fuse.sshfs", "fuse.sshfs"), ("", None)]
)
def test_file_systems_whose_locks_cannot_be_trusted(tmp_path, kind, name):
    """Network and user-space file systems are recognised by the name that the kernel gives them."""
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(device=f"{os.major(device)}:{os.minor(device)}", kind=kind) if kind else "")

    assert name == untrusted_file_system(tmp_path, mounts)


def test_a_network_file_system_gets_a_warning(path, caplog, monkeypatch):
    """Opening a file there tells which file system it is."""
    monkeypatch.setattr("kvd.backend.file.engine.filesystem.untrusted_file_system", lambda _: "nfs4")
    contents(path)

    assert "nfs4" in caplog.text


def test_a_lock_that_is_a_link_is_not_followed(path):
    """What a symbolic link in the lock's place leads to is not written to."""
    precious = path.with_name("precious")
    precious.write_text("mine")
    path.with_name("store.json.lock").symlink_to(precious)
    with pytest.raises(DataStoreError, match="symbolic links"):
        Opened(path)

    assert "mine" == precious.read_text()


def test_more_spaces_than_are_read_at_once(path):
    """Spaces at the end are no damage, however many."""
    write(path, (1, "a", None))
    data = path.read_bytes().removesuffix(OPEN_END)
    path.write_bytes(data + b" " * (9 << 20) + OPEN_END)
    assert check(path).sound
    path.write_bytes(data + b" " * (9 << 20) + b"x" + OPEN_END)
    assert not check(path).sound


def test_entries_that_nobody_can_read(path):
    """A right checksum over entries that cannot be read, which is no work of ours: told, and not passed over."""
    body = b',"\xff":{"revision":1,"value":1}\n'
    checked = b'"bytes":%9d,"revision":1}%s' % (len(body), body)
    path.write_bytes(HEADER + b',"":{"crc":"%08x",%s' % (zlib.crc32(checked), checked) + CLOSING)

    with pytest.raises(StoreCorruptError, match="entries behind byte 31 that cannot be read"):
        Opened(path)
    (place,) = check(path).suspicious
    assert "entries that cannot be read" in place
