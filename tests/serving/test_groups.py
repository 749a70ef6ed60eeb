"""The daemon's loop without connections: what the members of a group are answered, and when it sweeps."""

import errno
import json
import time

import pytest
from kvd.server.upkeep import Upkeep

from kvclient import StoreCorruptError
from kvd.backend.file.engine import file
from kvd.backend.file.store.operations import Create, Delete, Sweep
from kvd.server.server import Server
from stores import Opened, create


class Peer:
    """Who asks, and is told."""

    def __init__(self):
        self.replies = []

    def reply(self, reply):
        self.replies.append(json.loads(reply))


class Loop:
    """A server on a data file. What is sent together is one group."""

    def __init__(self, path, clock):
        self.opened = Opened(path, clock)
        self.upkeep = Upkeep(self.opened.store, self.opened.engine, None, sync_in_intervals=False, beat=lambda: None)
        self.server = Server(
            None,
            self.opened.store,
            self.upkeep,
            wakeup=None,
            committer=None,
            waits_for_disk=False,
            describe=None,
        )

    def send(self, *operations):
        """Return the reply to each operation."""
        peers = [Peer() for _ in operations]
        self.server._queue += [(peer, operation, 10) for peer, operation in zip(peers, operations, strict=True)]
        self.server._commit()
        return [reply for peer in peers for reply in peer.replies]

    def sweep_if_due(self):
        """Tell whether a sweep was due; then it is done."""
        self.server._queue_sweep()
        due = len(self.server._queue) > 0
        self.server._commit()
        return due


@pytest.fixture
def loop(directory, clock, monkeypatch):
    monkeypatch.setattr(time, "time", clock)
    loop = Loop(directory / "store.json", clock)
    yield loop
    loop.opened.close()


@pytest.fixture
def fill_disk(monkeypatch):
    """Have the disk refuse so many writes."""

    def fill(times):
        write, left = file.pwrite_all, [times]

        def refuse(*arguments):
            if left[0] > 0:
                left[0] -= 1
                raise OSError(errno.ENOSPC, "No space left on device")
            write(*arguments)

        monkeypatch.setattr(file, "pwrite_all", refuse)

    return fill


class TestRepetitions:
    def test_repetition_in_a_group_that_fails_gets_the_first_answer(self, loop, fill_disk):
        """What was carried out before depends on nothing that is refused now."""
        (first,) = loop.send(create("key1", 1, id="a:1"))
        fill_disk(times=1)
        again, refused = loop.send(create("key1", 1, id="a:1"), create("key2", 2, id="b:1"))

        assert first == again
        assert "StoreFullError" == refused["error"]

    def test_repetition_within_a_group_that_fails_is_refused_with_it(self, loop, fill_disk):
        """It repeats what was not carried out."""
        fill_disk(times=1)
        replies = loop.send(create("key1", 1, id="a:1"), create("key1", 1, id="a:1"))

        assert ["StoreFullError"] * 2 == [reply["error"] for reply in replies]
        assert [{"ok": True, "revision": 1}] == loop.send(create("key1", 1, id="a:1"))

    def test_repetition_is_answered_when_nothing_may_be_written_any_more(self, loop):
        """Another program's hand on the file refuses new writes only."""
        (first,) = loop.send(create("key1", 1, id="a:1"))
        loop.upkeep.interfered(StoreCorruptError("The data file was replaced."))
        again, refused = loop.send(create("key1", 1, id="a:1"), create("key2", 2, id="b:1"))

        assert first == again
        assert "StoreCorruptError" == refused["error"]


class TestSweeps:
    def test_sweep_that_cannot_be_written_is_not_tried_again_at_once(self, loop, clock, fill_disk):
        """On a full disk it would keep the loop busy, and the log with it."""
        loop.send(create("key1", 1, ttl=5))
        clock.now += 5
        fill_disk(times=1)
        loop.upkeep.look(committing=False)

        assert [True, False] == [loop.sweep_if_due() for _ in range(2)]
        assert 0 < loop.server._timeout()

    def test_sweep_that_is_tried_again_without_its_group_is_there_once(self, loop, clock, fill_disk):
        """It is queued again when the creates beside it do not fit on the disk."""
        loop.send(create("key1", 1, ttl=5))
        clock.now += 5
        loop.server._queue_sweep()
        queued = []
        fill_disk(times=1)
        decide_as_before = loop.opened.store.decide

        def decide(operations):
            loop.server._queue_sweep()
            queued.append([type(operation) for operation in operations])
            return decide_as_before(operations)

        loop.opened.store.decide = decide
        loop.send(create("key2", 2))

        assert [[Sweep, Create], [Sweep]] == queued
        assert 0 == len(loop.opened.store)

    def test_sweep_that_finds_only_what_was_deleted_is_followed_by_another(self, loop, clock):
        """Otherwise keys that are deleted before their time could come faster than they are forgotten."""
        for number in range(900):
            loop.send(create(f"key{number}", 1, ttl=5))
            loop.send(Delete(f"key{number}"))
        loop.send(create("last", 1, ttl=6))
        clock.now += 6
        while loop.sweep_if_due():
            pass

        assert 0 == len(loop.opened.store)

    def test_sweeps_go_on_when_the_clock_is_set_back(self, loop, clock, fill_disk, monkeypatch):
        """The pause behind a sweep that failed does not become as long as the step."""
        loop.send(create("key1", 1, ttl=5))
        clock.now += 5
        fill_disk(times=1)
        assert loop.sweep_if_due()
        clock.now -= 3600
        loop.send(create("key2", 2, ttl=5))
        clock.now += 5
        later = time.monotonic() + 60
        monkeypatch.setattr(time, "monotonic", lambda: later)

        assert loop.sweep_if_due()
        assert 1 == len(loop.opened.store)


class TestInterference:
    def test_compaction_that_is_asked_for_afterwards_saves_nothing_again(self, loop):
        """It is not even begun."""
        loop.send(create("key1", 1))
        loop.opened.path.unlink()
        loop.upkeep.look(committing=False)
        loop.upkeep.start_compaction()
        loop.upkeep.step(committing=False)
        loop.upkeep.interfered(StoreCorruptError("The data file was replaced."))

        assert not loop.upkeep.compacting
        assert 1 == len(list(loop.opened.path.parent.glob("*.rescued-*")))

    def test_rescue_that_fails_leaves_the_daemon_serving(self, loop, monkeypatch):
        """Whatever goes wrong in it, writes are refused and reads go on."""

        def fail(_):
            raise AssertionError("no such entry")

        monkeypatch.setattr(loop.opened.engine, "rescue", fail)
        loop.send(create("key1", 1))
        loop.opened.path.unlink()
        (refused,) = loop.send(create("key2", 2))

        assert "StoreCorruptError" == refused["error"]
        assert "no such entry" in refused["message"]
        assert 1 == loop.opened.read("key1")
