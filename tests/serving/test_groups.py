"""The backend behind the daemon's loop: what the members of a group are answered, and when chores are done."""

import subprocess
import time

import pytest

from kvclient import DataStoreError, StoreCorruptError, StoreFullError
from processes import wait_until
from stores import create, create_all, delete, request


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
        (first,) = loop.send(request("increment", key="n", id="a:1"))
        loop.backend._health.interfered(StoreCorruptError("The data file was replaced."))
        again, refused = loop.send(request("increment", key="n", id="a:1"), create("key2", 2, id="b:1"))

        assert first == again
        assert "StoreCorruptError" == refused["error"]


class TestFullDisk:
    def test_a_stop_waits_for_nothing_that_the_disk_does_not_take(self, loop, monkeypatch):
        """What waits for a clear that cannot be written down is refused, and the daemon ends."""
        loop.send(create_all({f"k{number:05}": b"1" for number in range(3000)}))
        loop.send(request("clear"))

        def refuse(_staged):
            raise StoreFullError("The disk is full.")

        monkeypatch.setattr(loop.engine, "write", refuse)
        peers = loop.ask(request("clear"), request("count", prefix="k0"))
        for _ in range(20):
            loop.work(stopping=True)

        assert not loop.backend.unfinished
        assert ["StoreFullError"] * 2 == [peer.replies[0]["error"] for peer in peers]

    def test_removals_are_carried_out_though_what_is_beside_them_does_not_fit(self, loop, fill_disk):
        """The group that does not fit on the disk is tried again without what only adds to it."""
        loop.send(create("key1", 1), create("key2", 2))
        fill_disk(times=1)
        peers = loop.ask(create("large", "x" * 1000), delete("key1"), request("delete_many", keys=["key2"]))
        loop.work_off()
        created, deleted, deleted_many = [peer.replies[0] for peer in peers]

        assert "StoreFullError" == created["error"]
        assert deleted["ok"]
        assert ["key2"] == deleted_many["deleted"]
        assert 0 == len(loop.store.keys)


class TestChores:
    def test_sweep_that_cannot_be_written_is_not_tried_again_at_once(self, loop, clock, fill_disk):
        """On a full disk it would keep the loop busy, and the log with it."""
        loop.send(create("key1", 1, ttl=5))
        clock.now += 5
        left = fill_disk(times=1)
        loop.work()
        loop.work()
        assert 0 == left[0]
        left[0] = 1
        for _ in range(5):
            assert 0 < loop.work()

        assert 1 == left[0]

    def test_sweep_that_is_refused_is_not_tried_again_at_once(self, loop, clock):
        """Where another program took the file away, a key that expires does not keep the loop busy for ever."""
        loop.send(create("key1", 1, ttl=5))
        loop.engine.path.unlink()
        loop.backend._upkeep.next_look = 0.0
        clock.now += 5
        loop.work()

        assert isinstance(loop.backend.refusing, StoreCorruptError)
        assert [0 < loop.work() for _ in range(3)][1:] == [True, True]

    def test_sweep_that_is_tried_again_without_its_group_is_there_once(self, loop, clock, fill_disk):
        """It is queued again when the creates beside it do not fit on the disk."""
        loop.send(create("key1", 1, ttl=5))
        clock.now += 5
        loop.work()
        fill_disk(times=1)
        queued = []
        deciding_as_before = loop.store.deciding

        def deciding(members):
            queued.append([request.op for _, request, *_ in members])
            return deciding_as_before(members)

        loop.store.deciding = deciding
        (refused,) = loop.send(create("key2", 2))
        loop.work_off()

        assert "StoreFullError" == refused["error"]
        assert [["sweep", "create"], ["sweep"]] == queued
        assert 0 == len(loop.store.keys)

    def test_sweep_that_finds_only_what_was_deleted_is_followed_by_another(self, loop, clock):
        """Otherwise keys that are deleted before their time could come faster than they are forgotten."""
        for number in range(900):
            loop.send(create(f"key{number}", 1, ttl=5))
            loop.send(delete(f"key{number}"))
        loop.send(create("last", 1, ttl=6))
        clock.now += 6
        loop.work_off()

        assert 0 == len(loop.store.keys)

    def test_sweeps_go_on_when_the_clock_is_set_back(self, loop, clock, fill_disk, monkeypatch):
        """The pause behind a sweep that failed does not become as long as the step."""
        loop.send(create("key1", 1, ttl=5))
        clock.now += 5
        left = fill_disk(times=1)
        loop.work_off()
        assert 0 == left[0]
        clock.now -= 3600
        loop.send(create("key2", 2, ttl=5))
        clock.now += 5
        later = time.monotonic() + 60
        monkeypatch.setattr(time, "monotonic", lambda: later)
        loop.work_off()

        assert 1 == len(loop.store.keys)

    def test_large_clear_is_written_down_without_a_pause(self, loop):
        """Portion by portion, with requests carried out in between; a count is right all the while."""
        loop.send(*(create_all({f"k{part}.{n}": b"1" for n in range(1000)}) for part in range(5)))
        (cleared,) = loop.send(request("clear"))
        assert 5000 == cleared["deleted"]
        assert loop.send(create("new", 1))[0]["ok"]
        (count,) = loop.ask(request("count"))
        loop.work_off()

        assert [{"ok": True, "count": 1}] == count.replies == loop.send(request("count"))
        assert 1 == len(loop.engine)

    def test_keys_of_all_processes_that_ended_go_at_once(self, loop):
        """However many end together, none waits for the next look."""
        processes = [subprocess.Popen(["cat"], stdin=subprocess.PIPE) for _ in range(5)]
        for number, process in enumerate(processes):
            loop.send(request("create", key=f"k{number}", value=1, ephemeral=process.pid))
        loop.send(create("stays", 1))
        loop.work_off()
        assert 6 == len(loop.store.keys)
        for process in processes:
            process.stdin.close()
            process.wait()
        wait_until(lambda: len(loop.store.keys.owners._poll.poll(0)) == 5)
        loop.work_off()

        assert ["stays"] == list(loop.engine._index.keys())


class TestStopping:
    def test_what_waits_for_a_chore_is_answered(self, loop):
        """A second large clear and a count wait until the first is written down, and do not keep the daemon from its
        end.
        """
        loop.send(*(create_all({f"{prefix}{n}": b"1" for n in range(2000)}) for prefix in "ab"))
        first, second = loop.ask(request("clear", prefix="a"), request("clear", prefix="b"))
        loop.work()
        (count,) = loop.ask(request("count"))
        for _ in range(100):
            if not loop.backend.unfinished:
                break
            assert loop.work(stopping=True) < 1

        assert not loop.backend.unfinished
        assert [2000, 2000] == [peer.replies[0]["deleted"] for peer in (first, second)]
        assert [{"ok": True, "count": 2000}] == count.replies  # as of before the second

    def test_chores_nobody_waits_for_are_left_for_the_next_start(self, loop):
        """A sweep and the writing down are not worth keeping systemd waiting."""
        loop.send(create_all({f"k{n}": b"1" for n in range(5000)}))
        loop.send(request("clear"))
        loop.work(stopping=True)

        assert not loop.backend.unfinished
        assert loop.store.keys.clears


class TestInterference:
    def test_compaction_that_is_asked_for_afterwards_is_refused(self, loop):
        """It is not even begun, and saves nothing again."""
        loop.send(create("key1", 1))
        loop.engine.path.unlink()
        loop.backend._upkeep.look(committing=False)
        with pytest.raises(DataStoreError, match="can no longer be found"):
            loop.backend.compact()
        loop.backend._upkeep.start_compaction()
        loop.work()
        loop.backend._health.interfered(StoreCorruptError("The data file was replaced."))

        assert not loop.backend.describe()["compacting"]
        assert 1 == len(list(loop.engine.path.parent.glob("*.rescued-*")))

    def test_rescue_that_fails_leaves_the_daemon_serving(self, loop, monkeypatch):
        """Whatever goes wrong in it, writes are refused and reads go on."""

        def fail(_):
            raise AssertionError("no such entry")

        monkeypatch.setattr(loop.engine, "rescue", fail)
        loop.send(create("key1", 1))
        loop.engine.path.unlink()
        (refused,) = loop.send(create("key2", 2))

        assert "StoreCorruptError" == refused["error"]
        assert "no such entry" in refused["message"]
        assert [1] == [reply["value"] for reply in loop.send(request("read", key="key1"))]
