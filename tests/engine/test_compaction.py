"""Compaction: beside service, step by step, and given up at any of them."""

import errno
import json
import logging
import os

import pytest

from kvclient.contract.errors import StoreCorruptError
from kvd.backend.file.engine.conversion import aside
from kvd.backend.file.engine.interface import Outcome
from stores import Opened, as_others_read, assert_sound, contents


@pytest.fixture
def path(memory):
    return memory / "store.json"


@pytest.fixture
def store(path, clock):
    with Opened(path, clock) as store:
        for number in range(1000):
            store.create(f"key{number}", number, ttl=10 if number % 10 == 0 else None)
        for number in range(1, 1000, 2):
            store.delete(f"key{number}")
        yield store


def kept(clock_moved=False):
    return {f"key{n}": n for n in range(0, 1000, 2) if not (clock_moved and n % 10 == 0)}


def test_what_is_dead_is_dropped(store, path, clock):
    """Deleted and expired keys leave the file; the rest is there, in it and after it is opened again."""
    before = store.engine.used_bytes
    clock.now += 10
    store.compact()

    assert store.engine.used_bytes < before / 3
    assert kept(clock_moved=True) == store.contents() == as_others_read(path, clock())
    assert b"key10" + b'"' not in path.read_bytes()
    store.crash()
    assert kept(clock_moved=True) == contents(path, clock)
    assert_sound(path)


def test_commits_between_all_steps_are_kept(store, path, clock):
    """Whatever is created and deleted while a compaction is under way is as it should be after it, and at each step
    every value is read right, in the store and in the file.
    """
    expected = kept()
    steps = 0
    for job in store.store.compact():
        steps += 1
        if job is not None:
            job.run()
        if job is not None and job.alone:
            continue
        for key in (f"key{2 * steps}", f"during{steps - 3}"):
            if expected.pop(key, None) is not None:
                store.delete(key)
        store.create(f"during{steps}", steps)
        expected[f"during{steps}"] = steps
        if f"key{2 * steps}" not in expected:
            store.create(f"key{2 * steps}", "again")
            expected[f"key{2 * steps}"] = "again"
        assert expected == store.contents() == as_others_read(path, clock())
    assert steps > 5
    store.crash()
    assert expected == contents(path, clock)
    assert_sound(path)


def test_commits_while_the_index_is_moved(store):
    """The new file is in place, and while its places go into the index, step by step, commits go on."""
    expected = kept()
    in_place = False
    steps = 0
    for job in store.store.compact():
        if not in_place and not store.engine._move._added:
            many = {f"added{number}": number for number in range(1000)}
            store.batch(many)
            expected |= many
        if job is not None:
            job.run()
            in_place = in_place or job.alone
        elif in_place:
            steps += 1
            store.create(f"late{steps}", steps)
            expected[f"late{steps}"] = steps
            assert expected == store.contents()
    assert steps > 4
    assert expected == store.contents() == as_others_read(store.path, store.clock())


def test_a_crash_at_any_step_leaves_a_whole_file_and_no_debris(store, path, clock, tmp_path):
    """At each step the file that lies there opens with everything, and the half-made one beside it goes."""
    compaction = store.store.compact()
    for step, job in enumerate(compaction):
        if job is not None:
            job.run()
        crashed = tmp_path / f"crash{step}" / "store.json"
        crashed.parent.mkdir()
        for name in ("store.json", "store.json.compacting"):
            if path.with_name(name).exists():
                crashed.with_name(name).write_bytes(path.with_name(name).read_bytes())

        assert kept() == contents(crashed, clock)
        assert_sound(crashed)
        assert ["store.json"] == [found.name for found in crashed.parent.iterdir()]


def test_given_up_at_any_step_nothing_has_changed(store, path, clock, caplog):
    """A compaction that is closed before its end leaves the old file in service, and another can be made."""
    caplog.set_level(logging.CRITICAL)
    for stop in range(1, 6):
        compaction = store.store.compact()
        for _, job in zip(range(stop), compaction, strict=False):
            if job is not None and not job.alone:
                job.run()
        compaction.close()

        assert not path.with_name("store.json.compacting").exists()
        store.create(f"after{stop}", stop)
    expected = kept() | {f"after{stop}": stop for stop in range(1, 6)}
    store.compact()
    assert expected == store.contents() == as_others_read(path, clock())


def test_requests_ids_survive(store):
    """A request that was carried out before is known after, and its answer is the same."""
    revision = store.create("once", 1, id="client:7")
    store.compact()
    store.compact()
    store.crash()
    with Opened(store.path, store.clock) as again:
        assert Outcome(7, revision) == again.engine.outcomes["client"]


def test_permissions_are_kept(store, path):
    """Who let others read the file finds it readable after a compaction."""
    path.chmod(0o640)
    store.compact()

    assert 0o640 == path.stat().st_mode & 0o777


def test_a_removed_file_is_not_brought_back(store, path):
    """If the path is no longer the open file, a compaction changes nothing there."""
    path.unlink()
    path.write_text("mine")
    with pytest.raises(StoreCorruptError, match="replaced"):
        store.compact()

    assert "mine" == path.read_text()


def test_values_that_look_like_the_file_itself(path, clock):
    """A value may hold what a marker looks like; it never becomes one."""
    trap = {"": {"crc": "00000000", "bytes": 5, "revision": 99}, "x": ',"":{"crc":"00000000","bytes":        1}\n'}
    with Opened(path, clock) as store:
        store.create("trap", trap)
        store.compact()
        store.create("other", [trap])
        assert {"trap": trap, "other": [trap]} == store.contents() == as_others_read(path, clock())
    assert json.loads(path.read_bytes())["trap"]["value"] == trap
    assert_sound(path)


def test_names_for_copies_do_not_clash(path):
    """Each copy that is kept gets a name of its own."""
    first = aside(path, "damaged")
    first.touch()

    assert first != aside(path, "damaged")
    assert first.name.startswith("store.json.damaged-")


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root, who may give a file away")
def test_a_group_that_cannot_be_kept_gets_no_rights(store, path, monkeypatch):
    """If the new file cannot be given to the old one's group, another group does not get that one's rights."""

    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    os.chown(path, -1, os.getegid() + 1)
    path.chmod(0o640)
    monkeypatch.setattr(os, "fchown", refuse)
    store.compact()

    assert 0o600 == path.stat().st_mode & 0o777


def test_a_file_above_a_lowered_limit_is_compacted(path, clock):
    """What is larger than a limit that was lowered since shrinks all the same, if not below the limit."""
    with Opened(path, clock) as store:
        for number in range(100):
            store.create(f"key{number}", "x" * 200)
        for number in range(50):
            store.delete(f"key{number}")
    before = path.stat().st_size
    with Opened(path, clock, max_file_bytes=10_000) as store:
        store.compact()

    assert 10_000 < path.stat().st_size < before * 2 // 3
