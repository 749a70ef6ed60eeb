"""The checker of what watchers were told finds what is wrong, and only that."""

import pytest

from watch_checker import ANY, Change, Checker, Gap


def created(revision, value, key="a", time=0.0):
    return {"kind": "created", "key": key, "value": value, "revision": revision, "time": time}


def updated(revision, value, previous, key="a"):
    return {"kind": "updated", "key": key, "value": value, "previous": previous, "revision": revision, "time": 0.0}


def gone(revision, previous, kind="deleted", key="a", time=0.0):
    return {"kind": kind, "key": key, "previous": previous, "revision": revision, "time": time}


def problems(record, changes=(), contents=None, ttls=None):
    """Return what the checker finds in a record that began with an empty store; revision 9 is a large clear."""
    checker = Checker(0, {9}, ttls or {})
    checker.follow(record)
    checker.compare(changes)
    if contents is not None:
        checker.compare_end(contents)
    return checker.problems


GOOD = {
    "one key's life": ([created(1, 1), updated(2, 2, 1), gone(3, 2)],),
    "again after it was gone": ([created(1, 1), gone(2, 1), created(3, 2)], [Change(3, "a", 2)], {"a": 2}),
    "several keys at one revision": ([created(1, 1), created(1, 2, "b"), created(2, 3, "c")],),
    "a large clear has no event": ([created(n, n, str(n)) for n in range(1, 9)] + [gone(10, 1, key="1")],),
    "a null is a value": ([created(1, None), updated(2, None, None), gone(3, None)], [Change(1, "a", None)]),
    "expired in time": ([created(1, 1, time=5.0), gone(2, 1, "expired", time=6.0)], (), {}, {1: 1.0}),
    "behind a gap nothing is known": ([created(1, 1), Gap(7), gone(8, 5)], [Change(5, "a", 5), Change(8, "a", None)]),
    "what a writer does not know": ([created(1, 1), updated(2, 1, 1)], [Change(2, "a", ANY)]),
}
BAD = {
    "a dropped event": ([created(1, 1), gone(3, 1)],),
    "the last one dropped": ([created(1, 1), updated(2, 2, 1)], (), {"a": 3}),
    "one of several at a revision dropped": ([created(1, 1), created(2, 1, "c")], [Change(1, "b", 2)]),
    "a doubled event": ([created(1, 1), updated(2, 2, 1), updated(2, 2, 1)],),
    "two events in the wrong order": ([created(2, 1, "b"), created(1, 1)],),
    "a wrong previous value": ([created(1, 1), updated(2, 2, 7)],),
    "no previous value": ([created(1, 1), {"kind": "deleted", "key": "a", "revision": 2, "time": 0.0}],),
    "a previous value of what is new": ([created(1, 1) | {"previous": 1}],),
    "created twice": ([created(1, 1), created(2, 1)],),
    "gone twice": ([created(1, 1), gone(2, 1), gone(3, 1, "expired")],),
    "updated without being there": ([updated(1, 2, 1)],),
    "expired too early": ([created(1, 1, time=5.0), gone(2, 1, "expired", time=5.5)], (), {}, {1: 1.0}),
    "another value than the writer's": ([created(1, 1)], [Change(1, "a", 2)]),
    "another key than the writer's": ([created(1, 1)], [Change(1, "b", 1)]),
    "a key left that is gone": ([created(1, 1)], (), {}),
    "wrong again behind a gap": ([Gap(7), created(8, 1), updated(9, 2, 5)],),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_can_have_happened_is_accepted(name):
    """A correct server can have told it."""
    assert [] == problems(*GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_have_happened_is_found(name):
    """No correct server tells it."""
    assert problems(*BAD[name])
