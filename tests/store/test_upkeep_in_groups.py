"""What the store does by itself shares commits with what is asked for, in whatever order it was queued."""

import json

import pytest

from kvd.asked import Asked
from kvd.backend.file.events import FileEvents
from kvd.backend.file.store import keys
from kvd.backend.file.store.operations.upkeep import Forget, Sweep
from kvd.requests.twins import TWINS
from kvd.watch.hub import Hub
from stores import Opened, as_others_read, create


def dropping(path, clock):
    """Return a store that has just dropped `a`, which had expired, and told nobody."""
    opened = Opened(path, clock, compact_min_bytes=1 << 30)
    opened.create("a", 1, ttl=5)
    opened.create("b", 1, ttl=10)
    clock.now += 5
    opened.compact()
    return opened


def watched(opened):
    """Return the kinds and keys of all events from now on, as they come."""
    told = []
    FileEvents(opened.store).tell(
        lambda events: told.extend((event.kind, event.key, event.previous) for event in events)
    )
    return told


def test_a_key_that_was_dropped_and_is_created_at_once_expired_once(tmp_path, clock):
    """Also where the create shares the commit in which that is told."""
    path = tmp_path / "store.json"
    with Opened(path, clock, compact_min_bytes=1 << 30) as opened:
        told = watched(opened)
        opened.create("a", 1, ttl=5)
        clock.now += 5
        opened.compact()
        told.clear()

        opened.do(Forget(10), create("a", 2))

        assert [("expired", "a", b"1"), ("created", "a", None)] == told
    assert {"a": 2} == as_others_read(path, clock.now)


def test_a_sweep_before_what_was_dropped_is_written(tmp_path, clock):
    """What need not be written is what was dropped, not what comes first."""
    path = tmp_path / "store.json"
    with dropping(path, clock) as opened:
        clock.now += 5
        opened.do(Sweep(10), Forget(10))
    assert {} == as_others_read(path, 0)


@pytest.mark.parametrize(("room", "previous"), [(1, 1), (0, None)])
def test_a_watch_that_begins_behind_a_drop_gets_json(tmp_path, clock, monkeypatch, room, previous):
    """A value for which there was no room is known no more, and left out."""
    monkeypatch.setattr(keys, "_DROPPED_BYTES", room)
    with dropping(tmp_path / "store.json", clock) as opened:
        hub, asked = Hub(FileEvents(opened.store), 10), Asked()
        hub.watch(TWINS["watch"](wait=60), asked)

        opened.do(Forget(10))

        (event,) = json.loads(asked.body)["events"]
        assert ("expired", "a", previous) == (event["kind"], event["key"], event.get("previous"))
