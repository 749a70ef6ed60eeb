"""A clear of many keys is one moment for everybody, also if the daemon is killed before all of it is written down."""

import threading

import pytest

from processes import wait_until
from wire_line import WireLine

BATCH = 10_000


@pytest.fixture
def filled(start_daemon, long):
    """Give a daemon with keys to clear and some that stay, how many there are to clear, and a line to it."""
    count = 1_000_000 if long else 20_000
    daemon = start_daemon(sync="never")
    with WireLine(daemon.endpoint, patience=600) as line:
        for first in range(0, count, BATCH):
            items = {f"key:{number:07}": number for number in range(first, first + BATCH)}
            assert line.ask({"op": "batch_create", "items": items})["ok"]
        assert line.ask({"op": "batch_create", "items": {"a": 1, "kez": 2}})["ok"]
        yield daemon, count, line


def what_is_there(line):
    """Return whether the cleared keys are there, as each way of looking tells; counting is asked last."""
    found = [
        line.ask({"op": "exists", "key": "key:0000000"})["exists"],
        line.ask({"op": "read", "key": "key:0019999"})["ok"],
        bool(line.ask({"op": "read_many", "keys": ["key:0010000"]})["entries"]),
        bool(line.ask({"op": "list", "prefix": "key:", "limit": 1})["entries"]),
        bool(line.ask({"op": "count", "prefix": "key:"})["count"]),
    ]
    assert line.ask({"op": "read", "key": "a"})["ok"]
    return found


@pytest.mark.timeout(1200)
def test_readers_see_all_of_it_or_nothing(filled):
    """Once one of them has seen a key gone, none sees any again; and the number told is right."""
    daemon, count, line = filled
    seen, over = [], threading.Event()

    def look():
        with WireLine(daemon.endpoint, patience=600) as reader:
            while not over.is_set():
                seen.append(what_is_there(reader))

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    wait_until(lambda: len(seen) > 10)
    reply = line.ask({"op": "clear", "prefix": "key:"})
    behind = what_is_there(line)
    wait_until(lambda: line.ask({"op": "stats"})["stats"]["keys"] == 2, seconds=600)
    over.set()
    for reader in readers:
        reader.join()

    assert count == reply["deleted"]
    assert [False] * 5 == behind
    for found in seen:  # from a moment on everything is gone
        assert found == sorted(found, reverse=True), "a key was seen behind one that was gone already"
    assert 2 == line.ask({"op": "count"})["count"]


@pytest.mark.timeout(1200)
def test_it_survives_a_kill_in_the_midst_of_it(filled):
    """Whatever of it is written down by then; keys that are made again stay, and compaction changes nothing."""
    daemon, count, line = filled
    assert count == line.ask({"op": "clear", "prefix": "key:", "id": "clearer:1"})["deleted"]
    daemon.kill()
    daemon.start()

    assert [False] * 5 == what_is_there(line)
    assert count == line.ask({"op": "clear", "prefix": "key:", "id": "clearer:1"})["deleted"]
    assert line.ask({"op": "create", "key": "key:0000007", "value": "anew"})["ok"]
    daemon.kill()
    daemon.start()
    assert line.ask({"op": "compact"})["ok"]
    wait_until(lambda: line.ask({"op": "stats"})["stats"]["keys"] == 3, seconds=600)
    wait_until(lambda: not line.ask({"op": "status"})["status"]["compacting"], seconds=600)
    daemon.kill()
    daemon.start()

    assert ["a", "key:0000007", "kez"] == [entry["key"] for entry in line.ask({"op": "list"})["entries"]]
    assert 3 == line.ask({"op": "count"})["count"]
    assert 0 == daemon.stop()
    assert 0 == daemon.check().returncode
