"""The watch hub with a source and peers of paper: who is told what, when, and that nothing is missed or told twice."""

import json
import time

import pytest

from kvclient import RevisionGoneError
from kvclient.contract.errors import DataStoreError, TooManyWatchersError
from kvd.backend.feed import Event
from kvd.requests.twins import TWINS
from kvd.watch import hub as hub_module
from kvd.watch import ring as ring_module
from kvd.watch.hub import Hub


class Source:
    """A store: a list of events, the first of which may be forgotten."""

    def __init__(self):
        self.events = []
        self.revision = 0
        self.told_from = 0
        self.told = None
        self.fails = None

    def tell(self, told):
        self.told = told

    def commit(self, *keys, together=False, value=b"1"):
        events = []
        if together:
            self.revision += 1
        for key in keys:
            self.revision += not together
            events.append(Event("created", key, value, None, self.revision, 1.5))
        self.events += events
        if self.told is not None:
            self.told(events)

    def history(self, after):
        if after < self.told_from:
            raise RevisionGoneError("It is gone.")
        for event in [event for event in self.events if event.revision > after]:
            yield None
            if self.fails is not None:
                raise self.fails
            yield event


class Peer:
    """Who watches, on and on."""

    def __init__(self):
        self.replies = []

    def reply(self, body):
        self.replies.append(json.loads(body))

    def refuse(self, error):
        self.replies.append(error)

    @property
    def keys(self):
        return [[event["key"] for event in reply["events"]] for reply in self.replies]


@pytest.fixture
def clock(monkeypatch):
    class Monotonic:
        now = 1000.0

        def __call__(self):
            return self.now

    clock = Monotonic()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def hub(source, clock):  # noqa: ARG001  # it is the hub's clock, too
    return Hub(source, 5)


def watch(hub, peer=None, prefix="", after=None, wait=30.0, limit=1000):
    peer = Peer() if peer is None else peer
    hub.watch(TWINS["watch"](prefix=prefix, after=after, wait=wait, limit=limit), peer)
    return peer


def read_history(hub):
    for _ in range(1000):
        if hub.work() > 0:
            return
    raise AssertionError("It does not end.")


class TestParked:
    def test_a_watch_is_answered_with_the_first_commit(self, hub, source):
        """All its events with the prefix, once; then it is no longer there."""
        peer = watch(hub)
        assert [] == peer.replies
        source.commit("a", "b")
        source.commit("c")

        assert [{"ok": True, "revision": 2}] == [{**reply, "events": 0} | {} for reply in peer.replies] or [
            ["a", "b"]
        ] == peer.keys
        assert [2] == [reply["revision"] for reply in peer.replies]
        assert 0 == len(hub)
        assert 2 == hub.events

    @pytest.mark.parametrize(
        ("prefix", "told"),
        [("", True), ("j", True), ("job:1", True), ("job:1x", False), ("job:2", False), ("é", False)],
    )
    def test_only_keys_with_the_prefix(self, hub, source, prefix, told):
        """The whole key is a prefix of itself; a longer one is not."""
        peer = watch(hub, prefix=prefix)
        source.commit("x", "job:1")

        assert told == bool(peer.replies)
        if told:
            assert [["x", "job:1"] if not prefix else ["job:1"]] == peer.keys

    def test_many_with_the_same_prefix_and_with_others(self, hub, source):
        """Each gets its own, and those that wait for something else go on waiting."""
        first, second, other, long = (watch(hub, prefix=prefix) for prefix in ("a", "a", "b", "a:1:2"))
        source.commit("a:1", "c")
        assert [["a:1"]] == first.keys == second.keys
        assert [] == other.replies == long.replies
        source.commit("a:1:2:3", "b")

        assert [["b"]] == other.keys
        assert [["a:1:2:3"]] == long.keys

    def test_a_large_commit_is_told_in_pages_of_whole_revisions(self, hub, source):
        """The reply ends with a revision, and the next watch goes on behind it."""
        peer = watch(hub, limit=2)
        source.commit("a", "b", "c", "d", "e")
        watch(hub, peer, after=peer.replies[-1]["revision"], limit=2)
        watch(hub, peer, after=peer.replies[-1]["revision"], limit=2)

        assert [["a", "b"], ["c", "d"], ["e"]] == peer.keys
        assert [2, 4, 5] == [reply["revision"] for reply in peer.replies]

    def test_events_of_one_revision_are_never_torn(self, hub, source):
        """Whatever the limit is, parked or not: who asks on with a revision has all of it."""
        peer = watch(hub, limit=2)
        source.commit(*"abcde", together=True)
        source.commit("f")
        late = watch(hub, after=0, limit=1)

        assert [list("abcde")] == peer.keys == late.keys
        assert [1] == [reply["revision"] for reply in late.replies]

    def test_a_reply_is_bounded_in_bytes(self, hub, source):
        """Up to the end of a revision."""
        peer = watch(hub)
        source.commit("a", "b", "c", value=b'"%s"' % (b"x" * (hub_module.MOST_BYTES * 2 // 3)))

        assert [["a", "b"]] == peer.keys

    def test_a_peer_that_is_gone_is_forgotten(self, hub, source):
        """It is told nothing, and holds no place; a second time does not matter."""
        peer = watch(hub)
        hub.gone(peer)
        hub.gone(peer)
        source.commit("a")

        assert [] == peer.replies
        assert 0 == len(hub)
        assert {} == hub._by_prefix == hub._lengths

    def test_so_many_may_wait(self, hub, source):
        """One more is refused, with the setting; when one has ended there is room."""
        peers = [watch(hub, prefix=f"k{number}") for number in range(5)]
        with pytest.raises(TooManyWatchersError, match=r"5 watches wait already.*max_watchers"):
            watch(hub)
        source.commit("k3")
        watch(hub)

        assert [["k3"]] == peers[3].keys

    def test_deadlines_of_watches_that_are_gone_do_not_pile_up(self, hub, source):
        """Watching for hours, answered each second, takes bounded memory."""
        for _ in range(3000):
            watch(hub, wait=3600)
            source.commit("a")

        assert len(hub._deadlines) <= 1001


class TestDeadline:
    def test_a_reply_with_no_events_comes_after_so_long(self, hub, source, clock):
        """With the revision to ask on from, though others were told of events meanwhile."""
        peer = watch(hub, prefix="x", wait=30)
        source.commit("a")
        clock.now += 29.5
        assert 0.5 == hub.work()
        assert [] == peer.replies
        clock.now += 0.5
        hub.work()

        assert [{"ok": True, "events": [], "revision": 1}] == peer.replies
        assert 0 == len(hub)

    def test_a_watch_that_does_not_wait_is_answered_at_once(self, hub, source):
        """With what there is, or nothing."""
        peer = watch(hub, wait=0.0)
        source.commit("a")
        watch(hub, peer, after=0, wait=0.0)

        assert [[], ["a"]] == peer.keys

    def test_watches_of_one_deadline(self, hub, clock):
        """All are answered."""
        peers = [watch(hub, wait=5) for _ in range(5)]
        clock.now += 5
        hub.work()

        assert [1] * 5 == [len(peer.replies) for peer in peers]

    def test_an_answered_watch_has_no_deadline_any_more(self, hub, source, clock):
        """Nor has the next one of the same peer that of the first."""
        peer = watch(hub, wait=5)
        source.commit("a")
        clock.now += 4
        watch(hub, peer, after=1, wait=5)
        clock.now += 1
        hub.work()

        assert [["a"]] == peer.keys


class TestAfter:
    def test_from_the_ring(self, hub, source):
        """Nothing is missed between two watches."""
        watch(hub, wait=0.0)
        source.commit("a")
        source.commit("b")

        assert [["b"]] == watch(hub, after=1).keys
        assert [] == watch(hub, after=2).keys

    def test_a_revision_that_is_not_the_stores(self, hub, source):
        """A store that has lost its latest changes is told of."""
        source.commit("a")
        with pytest.raises(RevisionGoneError, match=r"at revision 1, and revision 2 is not one of its own"):
            watch(hub, after=2)

    def test_from_the_history_and_then_from_the_ring(self, hub, source):
        """What was committed before anybody watched comes from the history, the rest from the ring; each once."""
        source.commit("a", "b")
        peer = watch(hub, after=0)
        assert [] == peer.replies
        source.commit("c")
        read_history(hub)
        found = list(peer.keys)
        while peer.replies[-1]["revision"] < source.revision:
            watch(hub, peer, after=peer.replies[-1]["revision"], wait=0.0)
            read_history(hub)
            found = peer.keys

        assert ["a", "b", "c"] == [key for keys in found for key in keys]

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_history_comes_in_pages_of_whole_revisions(self, hub, source, limit):
        """Each page ends with a revision, and nothing is left out or told twice."""
        source.commit("a")
        source.commit("b", "c", together=True)
        source.commit("d", "e")
        peer, after = Peer(), 0
        while after < source.revision:
            watch(hub, peer, after=after, limit=limit)
            read_history(hub)
            after = peer.replies[-1]["revision"]

        assert list("abcde") == [key for keys in peer.keys for key in keys]
        assert all({"b", "c"} & set(keys) in ({"b", "c"}, set()) for keys in peer.keys)

    def test_history_without_a_key_of_the_prefix_is_followed_by_waiting(self, hub, source, clock):
        """For what comes afterwards, or the deadline."""
        source.commit("a", "b")
        peer, other = watch(hub, prefix="x", after=0), watch(hub, prefix="y", after=0, wait=10)
        read_history(hub)
        assert [] == peer.replies
        source.commit("x")
        clock.now += 10
        hub.work()

        assert [["x"]] == peer.keys
        assert [{"ok": True, "events": [], "revision": 3}] == other.replies

    def test_history_that_is_gone_is_refused(self, hub, source):
        """With the revision to watch from."""
        source.commit("a", "b", "c")
        source.told_from = 2
        with pytest.raises(RevisionGoneError, match=r"after revision 1 .* after revision 2"):
            watch(hub, after=1)
        assert 0 == len(hub)

    def test_history_that_is_taken_before_it_is_read_is_refused(self, hub, source):
        """A compaction came between."""
        source.commit("a", "b", "c")
        peer = watch(hub, after=0)
        source.told_from = 3
        read_history(hub)

        assert [RevisionGoneError] == [type(reply) for reply in peer.replies]
        assert 0 == len(hub)

    def test_history_that_cannot_be_read_is_refused(self, hub, source):
        """With the reason; others go on."""
        source.commit("a", "b")
        source.fails = DataStoreError("The disk is broken.")
        peer, parked = watch(hub, after=0), watch(hub)
        read_history(hub)
        source.commit("c")

        assert ["The disk is broken."] == [str(reply) for reply in peer.replies]
        assert [["c"]] == parked.keys

    def test_a_peer_that_is_gone_while_its_history_is_read(self, hub, source):
        """It is told nothing."""
        source.commit(*(f"k{number}" for number in range(100)))
        peer = watch(hub, after=0)
        hub.work()
        hub.gone(peer)
        read_history(hub)

        assert [] == peer.replies
        assert 0 == len(hub)

    @pytest.mark.parametrize("compacted", [False, True])
    def test_a_ring_that_overflows_while_the_history_is_read(self, hub, source, monkeypatch, compacted):
        """The history is read on where it ended; if a compaction has taken that, the watch is refused, and no other."""
        monkeypatch.setattr(ring_module, "MOST_BYTES", 5000)
        source.commit(*(f"k{number}" for number in range(100)))
        peer, parked = watch(hub, prefix="x", after=0), watch(hub, prefix="y")
        for _ in range(hub_module._STEPS):
            hub.work()
        events = list(source.events)
        source.commit(*(f"k{number}" for number in range(100)), "x")
        assert hub._ring.since > 100
        if compacted:
            source.told_from = source.revision
        del events
        read_history(hub)
        source.commit("y")

        assert [["y"]] == parked.keys
        if compacted:
            assert [RevisionGoneError] == [type(reply) for reply in peer.replies]
        else:
            assert [["x"]] == peer.keys
        assert 0 == len(hub)


class TestRest:
    def test_where_nobody_has_watched_no_events_are_made(self, hub, source, clock):
        """Not before the first watch, and not long after the last."""
        assert source.told is None
        watch(hub, wait=1)
        assert source.told is not None
        clock.now += 1
        hub.work()
        assert source.told is not None
        clock.now += 600
        hub.work()

        assert source.told is None
        source.commit("a")
        peer = watch(hub, after=0)
        read_history(hub)
        assert [["a"]] == peer.keys

    def test_closing_answers_all_that_wait(self, hub, source):
        """Parked or being answered from the history, with nothing, and with the revision to ask on from."""
        source.commit("a")
        parked, reading = watch(hub), watch(hub, after=0)
        hub.close()

        assert [{"ok": True, "events": [], "revision": 1}] == parked.replies
        assert [{"ok": True, "events": [], "revision": 0}] == reading.replies
        assert 0 == len(hub)
