"""What the daemon says of how long requests, commits and syncs took."""

import itertools
import socket
from types import SimpleNamespace

import pytest
from loop import Loop

from kvclient import Client
from kvclient.contract.errors import DataStoreError
from kvd import LocalDataStore
from kvd.backend.file import committer
from kvd.server import poller
from kvd.server.poller import IN, Poller
from kvd.worker import Wakeup
from processes import wait_until
from stores import create, request


def timed(stats):
    """Return how many durations there are of each kind."""
    return {name: sum(histogram["counts"]) for name, histogram in stats["latencies"].items()}


def within(stats, name):
    """Return the bounds within which the durations of a kind lie."""
    bounds = [*stats["latency_bounds"], float("inf")]
    return [
        bound for bound, count in zip(bounds, stats["latencies"][name]["counts"], strict=True) for _ in range(count)
    ]


@pytest.fixture
def clock(monkeypatch):
    """The committer's clock, which stands still until it is moved."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(committer, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


class TestChanges:
    def test_each_counts_from_when_it_came_to_the_end_of_its_commit(self, directory, clock, monkeypatch):
        """The commit itself counts from its write on; what is refused is timed as well."""
        loop = Loop(directory / "store.json")
        write = loop.engine.write

        def slow_write(staged):
            clock.now += 0.004
            write(staged)

        monkeypatch.setattr(loop.engine, "write", slow_write)
        loop.ask(create("key1", 1))
        clock.now += 0.02
        loop.ask(create("key1", 2), create("key2", 2))
        loop.work()

        stats = loop.backend.statistics()
        assert [0.005, 0.005, 0.05] == within(stats, "changes")
        assert [0.005] == within(stats, "commits")
        assert 0.024 + 2 * 0.004 == pytest.approx(stats["latencies"]["changes"]["seconds"])
        assert (1, 3, 0.004) == (stats["commits"], stats["committed"], pytest.approx(stats["sync_seconds"]))
        loop.backend.close()

    def test_the_store_s_own_upkeep_is_none(self, directory):
        """Sweeping what expired is nobody's request."""
        loop = Loop(directory / "store.json")
        loop.send(create("key1", 1, ttl=0.000001))
        loop.work()
        wait_until(lambda: loop.work() >= 0 and not len(loop.store.keys))

        stats = loop.backend.statistics()
        assert 1 == len(within(stats, "changes"))
        assert 2 == len(within(stats, "commits"))
        loop.backend.close()

    def test_thousands_are_counted_on_the_way(self, directory):
        """Not all at once when somebody asks, or after half a second: that would hold up the loop."""
        loop = Loop(directory / "store.json", sync="never")
        noted = loop.backend._committer._changes.fresh
        most = 0
        for number in range(1500):
            loop.send(create(f"key{number}", 1))
            loop.work()
            most = max(most, len(noted))

        assert 0 < most <= 512
        assert 1500 == timed(loop.backend.statistics())["changes"]
        loop.backend.close()


class TestReads:
    def test_those_that_were_timed_stand_for_all_since(self, directory):
        """So there are as many durations as reads."""
        loop = Loop(directory / "store.json")
        loop.ask(*[request("exists", key="key1")] * 5)
        loop.backend.answered(0.0003)
        loop.backend.answered(9.0)  # nothing was read meanwhile
        loop.ask(request("exists", key="key1"))
        loop.backend.answered(0.00003)

        assert [0.00005, *[0.0005] * 5] == within(loop.backend.statistics(), "reads")
        loop.backend.close()


class TestSyncs:
    @pytest.mark.parametrize(("sync", "expected"), [("always", 3), ("never", 0)])
    def test_each_is_timed_where_there_are_some(self, directory, sync, expected):
        """One for each commit, or none."""
        loop = Loop(directory / "store.json", sync=sync)
        for number in range(3):
            loop.send(create(f"key{number}", 1))
            wait_until(lambda: loop.work() >= 0 and not loop.backend.unfinished)

        assert expected == timed(loop.backend.statistics())["syncs"]
        loop.backend.close()


class TestSince:
    """From when on a request may have waited, as the poll tells that has found it."""

    @pytest.fixture
    def times(self, monkeypatch):
        """The times that the poller reads, one after the other."""
        times = itertools.count(1.0)
        monkeypatch.setattr(poller, "time", SimpleNamespace(monotonic=lambda: next(times)))
        return times

    def test_what_came_while_the_loop_was_busy(self, times):
        """Counts from the last look on, however long ago that is: nobody knows when it came."""
        wakeup = Wakeup()
        here, there = socket.socketpair()
        with here, there:
            looking = Poller(wakeup)
            looking.add(here.fileno(), IN, lambda _, ready: ready.append(here))
            assert [] == looking.poll(0.0)
            looked = next(times) - 1
            there.send(b"1")
            next(times)

            assert [here] == looking.poll(0.0)
            assert looked == looking.since
            found = next(times) - 1
            assert [here] == looking.poll(0.0)
            assert found == looking.since
            looking.close()
        wakeup.close()

    def test_what_a_sleep_waited_for(self, times):
        """Counts from the waking up."""
        wakeup = Wakeup()
        here, there = socket.socketpair()
        with here, there:
            looking = Poller(wakeup)
            looking.add(here.fileno(), IN, lambda _, ready: ready.append(here))
            there.send(b"1")

            assert [here] == looking.poll(10.0)
            assert next(times) - 1 == looking.since
            looking.close()
        wakeup.close()


class TestDaemon:
    @pytest.mark.parametrize("sync", ["always", "interval", "never"])
    def test_everything_is_counted_once(self, start_daemon, sync):
        """Reads as well, of which only some are timed."""
        daemon = start_daemon(sync=sync)
        with Client(daemon.endpoint) as store:
            for number in range(10):
                store.create(f"key{number}", number)
            for number in range(200):
                assert number % 10 == store.read(f"key{number % 10}")
            with pytest.raises(DataStoreError):
                store.create("key1", 1)

            wait_until(lambda: timed(store.stats())["reads"] == 200)
            stats = store.stats()
        counts = timed(stats)
        assert (11, 10, 10) == (counts["changes"], counts["commits"], stats["committed"])
        if sync == "always":
            assert 10 == counts["syncs"]
        assert stats["latencies"]["changes"]["seconds"] >= stats["sync_seconds"] > 0
        assert stats["latencies"]["reads"]["seconds"] > 0

    def test_compactions_are_timed(self, start_daemon):
        """How many were completed, and how long they took."""
        daemon = start_daemon()
        with Client(daemon.endpoint) as store:
            store.create("key1", 1)
            store.compact()
            wait_until(lambda: store.stats()["compactions"] == 1)
            assert store.stats()["compaction_seconds"] > 0


def test_a_local_store_times_what_it_writes(directory):
    """Changes, commits and syncs; reads are not timed."""
    with LocalDataStore(directory / "store.json") as store:
        store.create("key1", 1)
        store.read("key1")
        store.compact()
        wait_until(lambda: store.stats()["compactions"] == 1)

        assert {"changes": 1, "commits": 1, "syncs": 1} == timed(store.stats())
        assert store.stats()["latency_bounds"][0] == 0.00001
