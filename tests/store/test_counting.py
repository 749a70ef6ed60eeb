"""Keys that have expired are not counted, in whatever state their removal is."""

import pytest

from kvd.backend.file.store.operations import READS
from kvd.backend.file.store.operations.upkeep import Sweep
from kvd.requests.twins import TWINS
from stores import Opened


@pytest.fixture
def store(tmp_path, clock):
    """A store with two keys that have just expired, and one that has not."""
    with Opened(tmp_path / "store.json", clock) as opened:
        opened.create("a", 1, ttl=5)
        opened.create("b", 1, ttl=5)
        opened.create("c", 1)
        clock.now += 5
        yield opened


def count(store):
    return READS["count"](store.keys, TWINS["count"]())


ONE = b'{"ok":true,"count":1}'


def test_swept_or_not(store):
    """Before and after their removal."""
    assert ONE == count(store)
    store.sweep()
    assert ONE == count(store)


@pytest.mark.parametrize("counted_before", [False, True])
def test_while_their_removal_is_written(store, counted_before):
    """The disk may take its time for it; and if it fails, they are still due."""
    if counted_before:
        count(store)
    group = store.decide(Sweep(10))
    assert ONE == count(store)
    store.store.fail(group)
    assert ONE == count(store)
    assert {"a", "b"} == {key for key, _ in store.decide(Sweep(10)).view.changes}


@pytest.mark.parametrize("counted_before", [False, True])
def test_dropped_by_a_compaction(store, counted_before):
    """Though nobody was told of that yet."""
    if counted_before:
        count(store)
    store.compact()
    assert ONE == count(store)


def test_a_clock_that_was_set_back_loses_no_sweep(store, clock):
    """A key that was seen as expired, and was not for a while, is removed when its time has come again."""
    count(store)
    clock.now -= 3
    store.sweep()
    assert {"a", "b", "c"} == store.contents().keys()
    clock.now += 3

    store.sweep()

    assert {"c"} == set(store.engine.keys())
