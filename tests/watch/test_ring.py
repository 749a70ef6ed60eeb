"""The latest events in memory: all after some revision, up to a bound."""

import json

import pytest

from kvd.backend.feed import Event
from kvd.watch import ring as module
from kvd.watch.ring import Ring, encode


def event(revision, key="k", value=b"1", previous=None, kind="created"):
    return Event(kind, key, value, previous, revision, 1_800_000_000.25)


def revisions(ring, after):
    found, position = [], ring.after(after)
    while (told := ring.at(position)) is not None:
        found.append(told.revision)
        position += 1
    return found


def test_events_after_a_revision():
    """Those of the revision itself were told before; one revision may have several events."""
    ring = Ring(5)
    ring.add([event(6), event(7, "a"), event(7, "b")])
    ring.add([event(9)])

    assert [6, 7, 7, 9] == revisions(ring, 5)
    assert [7, 7, 9] == revisions(ring, 6)
    assert [9] == revisions(ring, 7) == revisions(ring, 8)
    assert [] == revisions(ring, 9)


@pytest.mark.parametrize("at_once", [1, 7, 500])
def test_the_oldest_go_up_to_the_end_of_a_revision(monkeypatch, at_once):
    """`since` tells from where on all are there, however many come together; it never passes a bound of memory."""
    monkeypatch.setattr(module, "MOST_BYTES", 20_000)
    ring = Ring(0)
    told = [event(1 + number // 3, f"k{number}") for number in range(500)]
    for start in range(0, 500, at_once):
        ring.add(told[start : start + at_once])
        present = told[start + at_once - 1].revision if start + at_once <= 500 else told[-1].revision
        expected = [found.revision for found in told[: start + at_once] if found.revision > ring.since]
        assert expected == revisions(ring, ring.since)
        assert ring.since <= present
        assert len(ring._events) * module._EVENT_BYTES <= 20_000

    assert ring.since > 0


def test_a_revision_that_is_larger_than_the_ring(monkeypatch):
    """It is told to those who wait, and not kept."""
    monkeypatch.setattr(module, "MOST_BYTES", 5_000)
    ring = Ring(0)
    ring.add([event(1)])
    assert 100 == len(ring.add([event(2, f"k{number}") for number in range(100)]))

    assert 2 == ring.since
    assert [] == revisions(ring, 2)
    ring.add([event(3)])
    assert [3] == revisions(ring, 2)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (event(7, 'é"\n', b'{"a":1}'), {"kind": "created", "key": 'é"\n', "value": {"a": 1}}),
        (event(7, "k", b"2", b"1", "updated"), {"kind": "updated", "key": "k", "value": 2, "previous": 1}),
        (event(7, "k", None, b"null", "expired"), {"kind": "expired", "key": "k", "previous": None}),
    ],
)
def test_events_as_they_are_told(told, expected):
    """What there is no value of has no field for it; null is a value."""
    assert {**expected, "revision": 7, "time": 1_800_000_000.25} == json.loads(encode(told))
