"""TTLs: when keys expire, and how they are swept, counted, and dropped by compactions."""

import pytest

from kvclient import DataStoreError, InvalidTTLError, KeyExistsError, KeyNotFoundError, RevisionGoneError
from kvd.backend.file.store import keys as store_keys
from kvd.backend.file.store.operations.upkeep import Forget, Sweep
from stores import create, create_all, delete, request


def kinds(events, key):
    return [event.kind for event in events if event.key == key]


def unreadable(entry):
    raise DataStoreError(f"{entry} cannot be read.")


class TestInstant:
    def test_key_is_gone_at_its_instant(self, opened, clock):
        """A key is readable until `expires_at`, and not at it; then it can be created again."""
        opened.do(create("a", 1, ttl=5))
        clock.now += 4.999
        assert 1 == opened.read("a")
        clock.now += 0.001
        with pytest.raises(KeyNotFoundError):
            opened.read("a")
        (missing,) = opened.do(delete("a"))

        assert isinstance(missing, KeyNotFoundError)
        assert 3 == opened.create("a", 2)  # its expiry has a revision, too
        assert 2 == opened.read("a")

    def test_ttl_survives_a_restart(self, opened, clock):
        """Time goes on while the file is closed."""
        opened.do(create("a", 1, ttl=5), create("b", 2, ttl=500))
        clock.now += 5
        with opened.reopened() as again:
            assert {"b": 2} == again.contents()
            assert 1 == again.ask("count")["count"]

    @pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 10**400, "5", True])
    @pytest.mark.parametrize("op", ["create", "batch_create", "put", "expire", "increment"])
    def test_invalid_ttl_is_refused(self, opened, op, ttl):
        """A TTL is a finite number of seconds above 0; nothing is written otherwise."""
        fields = {
            "batch_create": {"items": {"a": 1}},
            "put": {"key": "a", "value": 1},
            "create": {"key": "a", "value": 1},
        }
        asked = request(op, **fields.get(op, {"key": "a"}), **({"ttl": 1} if op == "expire" else {}))
        asked.ttl = ttl
        (refused,) = opened.do(asked)

        assert isinstance(refused, InvalidTTLError)
        assert 0 == len(opened.keys)

    @pytest.mark.parametrize("now", [-1_000_000.0, -5.0, -2.5, 0.0])
    def test_a_clock_that_stands_before_1970(self, opened, clock, now):
        """A TTL counts there as ever: across a restart and a compaction, and also where a key expires at 0."""
        clock.now = now
        opened.do(create("short", 1, ttl=5), create("long", 1, ttl=1000), create("always", 1))
        opened.compact()
        with opened.reopened() as again:
            assert ["always", "long", "short"] == again.list()
            clock.now = now + 5
            assert ["always", "long"] == again.list()
            again.sweep()
            assert 2 == len(again.keys)
            again.compact()
            assert ["always", "long"] == again.list()
            assert now + 1000 == again.engine.find("long").expires_at


class TestSweep:
    def test_swept_key_stays_away_when_the_clock_is_set_back(self, opened, clock):
        """The removal of an expired key is recorded."""
        opened.do(create("a", 1, ttl=5))
        clock.now += 6
        opened.sweep()
        clock.now -= 100
        with opened.reopened() as again:
            assert {} == again.contents()
            assert 0 == len(again.keys)

    def test_key_that_was_counted_as_expired_is_swept_when_the_clock_is_set_back_and_goes_on(self, opened, clock):
        """A key that is counted out and not swept comes back with the clock, and goes when it is due."""
        opened.do(create("a", 1, ttl=5))
        clock.now += 6
        assert 0 == opened.ask("count")["count"]
        clock.now -= 3
        opened.sweep()
        assert {"a": 1} == opened.contents()
        assert 1 == opened.ask("count")["count"]
        clock.now += 2
        opened.sweep()

        assert 0 == len(opened.keys)

    def test_sweep_is_bounded(self, opened, clock):
        """A sweep removes so many keys at the most; the next goes on."""
        opened.do(*(create(f"k{n}", 1, ttl=1) for n in range(10)))
        clock.now += 1
        opened.sweep(4)
        assert 6 == len(opened.keys)
        opened.sweep(100)

        assert 0 == len(opened.keys)
        assert opened.store.next_expiry() is None
        assert 10 == opened.keys.removed["expired"]

    def test_recreated_key_is_not_swept_for_its_former_life(self, opened, clock):
        """A stale time in the heap removes nothing."""
        opened.create("a", 1, ttl=5)
        opened.delete("a")
        opened.create("a", 2, ttl=50)
        clock.now += 6
        opened.sweep()

        assert 2 == opened.read("a")

    def test_key_stays_due_when_its_sweep_is_not_written(self, opened, clock):
        """Also one that is created anew in the group that fails."""
        opened.do(create("a", 1, ttl=5), create("b", 1, ttl=5))
        clock.now += 5
        group = opened.decide(create("a", 2), Sweep(10))
        opened.store.fail(group)
        opened.sweep()

        assert 0 == len(opened.keys)

    def test_heap_does_not_grow_with_stale_times(self, opened):
        """Creating and deleting the same key for ever takes bounded memory."""
        for _ in range(3000):
            opened.do(create("a", 1, ttl=1000), delete("a"), create("a", 1, ttl=1000), delete("a"))

        assert len(opened.keys.expiry._heap) < 2000

    def test_expired_key_that_is_replaced_is_told_of_as_expired_and_created(self, opened, clock):
        """Whoever replaces it writes its removal down first."""
        opened.create("a", 1, ttl=5)
        clock.now += 5
        events = opened.follow()
        opened.do(request("put", key="a", value=2), Sweep(10))

        assert [("expired", 2, b"1"), ("created", 3, None)] == [(e.kind, e.revision, e.previous) for e in events]


class TestCount:
    def test_keys_that_are_due_are_not_counted_before_they_are_swept(self, opened, clock):
        """Thousands that expire in the same second are looked at in steps."""
        opened.do(create_all({f"a{n}": b"1" for n in range(1500)}, ttl=5), create("a", 1), create("b", 1, ttl=5))
        clock.now += 5
        assert not opened.keys.counts_at_once("")
        assert 1 == opened.ask("count")["count"]
        assert 0 == opened.ask("count", prefix="b")["count"]
        opened.sweep(700)
        assert 1 == opened.ask("count", prefix="a")["count"]
        opened.do(create("a7", 1), request("put", key="a8", value=1))

        assert 3 == opened.ask("count")["count"]
        assert 3 == len(opened.list())

    def test_group_that_fails_leaves_the_count_as_it_was(self, opened, clock):
        """What a sweep took up is due again, and counted out again."""
        opened.do(*(create(f"k{n}", 1, ttl=5) for n in range(5)), create("stays", 1))
        clock.now += 5
        assert 1 == opened.ask("count")["count"]
        opened.store.fail(opened.decide(Sweep(3)))

        assert 1 == opened.ask("count")["count"]
        opened.sweep()
        assert 1 == opened.ask("count")["count"]


class TestDroppedByACompaction:
    """A compaction drops what has expired; that is told of in a commit behind it, of which nothing is written."""

    @pytest.fixture
    def dropped(self, opened, clock):
        """A store whose compaction has dropped 5 keys, and its events."""
        opened.do(*(create(f"k{n}", n, ttl=5) for n in range(5)), create("stays", 1))
        opened.events = opened.follow()
        clock.now += 5
        opened.compact()
        return opened

    def test_they_are_gone_before_they_are_told_of(self, dropped):
        """For reads, lists and counts."""
        assert 1 == len(dropped.keys)
        assert ["stays"] == dropped.list()
        assert 1 == dropped.ask("count")["count"]
        assert 0 == dropped.ask("count", prefix="k")["count"]

    def test_keys_that_were_counted_out_are_not_counted_out_twice(self, opened, clock):
        """The count is the same before the compaction, behind it, and when all is told."""
        opened.do(*(create(f"k{n}", n, ttl=5) for n in range(5)), create("stays", 1))
        clock.now += 5
        assert 1 == opened.ask("count")["count"]
        opened.compact()
        assert 1 == opened.ask("count")["count"]
        opened.settle()

        assert 1 == opened.ask("count")["count"]

    def test_an_order_that_is_made_only_then_is_none_the_worse(self, opened, clock):
        """Nobody has listed or counted before, so the order is made of what there is and what was dropped."""
        opened.do(*(create(f"k{n}", n, ttl=5) for n in range(5)), create("stays", 1))
        clock.now += 5
        opened.compact()
        assert 0 == opened.ask("count", prefix="k")["count"]
        opened.create("k2", 1)
        opened.settle()

        assert ["k2", "stays"] == opened.list()
        assert 1 == opened.ask("count", prefix="k")["count"]

    def test_each_is_told_of_once(self, dropped):
        """As expired, with the value that it had, at a revision of its own."""
        size = dropped.engine.used_bytes
        dropped.settle()

        assert [("expired", f"k{n}", b"%d" % n, 7 + n) for n in range(5)] == [
            (event.kind, event.key, event.previous, event.revision) for event in dropped.events
        ]
        assert 11 == dropped.engine.revision
        assert dropped.engine.used_bytes - size < 200
        assert 0 == len(dropped.keys.expiry)

    @pytest.mark.parametrize("room", [1 << 20, 3])
    def test_who_begins_to_watch_only_then_is_told_some_values(self, opened, clock, monkeypatch, room):
        """As many as are kept for nobody, again and again: what was told makes room."""
        monkeypatch.setattr(store_keys, "_DROPPED_BYTES", room)
        for _ in range(2):
            opened.do(*(create(f"k{n}", n, ttl=5) for n in range(5)))
            clock.now += 5
            opened.compact()
            events = opened.follow()
            opened.settle()
            opened.keys.keeps_dropped_values = False  # as when nobody watches any more

            values = [event.previous for event in events]
            assert 5 == len(values)
            assert min(room, 5) == 5 - values.count(None)

    def test_one_whose_value_cannot_be_read_is_dropped_all_the_same(self, opened, clock, monkeypatch):
        """And told of without it."""
        opened.create("k", 1, ttl=5)
        events = opened.follow()
        clock.now += 5
        monkeypatch.setattr(opened.engine, "read", unreadable)
        opened.compact()
        opened.settle()

        assert [("expired", "k", None)] == [(event.kind, event.key, event.previous) for event in events]

    def test_what_was_not_told_by_the_end_is_no_history(self, dropped):
        """A watcher that knows the last revision is told to begin anew; one that begins now misses nothing."""
        known = dropped.engine.revision
        with dropped.reopened() as again:
            assert known + 1 == again.engine.revision == again.engine.history_from
            with pytest.raises(RevisionGoneError):
                list(again.engine.history(known))
            again.create("later", 1)
            assert ["later"] == [event.key for event in again.engine.history(known + 1) if event is not None]

    def test_nor_is_what_a_second_compaction_finds_untold(self, dropped):
        """What was dropped by the first is in no file any more."""
        dropped.compact()
        known = dropped.engine.revision
        with dropped.reopened() as again, pytest.raises(RevisionGoneError):
            list(again.engine.history(known))

    def test_a_compaction_with_all_told_leaves_a_history_that_goes_on(self, dropped):
        """Nothing is missing from it."""
        dropped.settle()
        dropped.compact()
        known = dropped.engine.revision
        with dropped.reopened() as again:
            assert known == again.engine.revision
            assert [] == [event for event in again.engine.history(known) if event is not None]

    @pytest.mark.parametrize("op", ["create", "put", "batch_create", "increment"])
    def test_one_that_is_created_anew_is_told_of_before(self, dropped, op):
        """Its end, then its new life, in their order, whichever operation creates it."""
        fields = {"create": {"value": 7}, "put": {"value": 7}, "increment": {"by": 7}}
        dropped.ask(op, **({"items": {"k2": 7}} if op == "batch_create" else {"key": "k2", **fields[op]}))
        dropped.settle()

        assert ["expired", "created"] == kinds(dropped.events, "k2")
        assert 6 == len(dropped.events)
        assert ["k2", "stays"] == dropped.list()
        assert 2 == dropped.ask("count")["count"]
        with dropped.reopened() as again:
            assert {"k2": 7, "stays": 1} == again.contents()

    def test_one_that_is_created_in_the_group_that_tells_of_it_is_told_of_once(self, dropped):
        """Also if another operation between the two is refused."""
        results = dropped.do(Forget(500), create("stays", 2), create("k2", 7), create("k2", 8))

        assert [KeyExistsError, KeyExistsError] == [type(results[1]), type(results[3])]
        assert ["expired", "created"] == kinds(dropped.events, "k2")
        assert 6 == len(dropped.events)
        with dropped.reopened() as again:
            assert {"k2": 7, "stays": 1} == again.contents()

    def test_it_is_told_of_once_without_a_refusal_in_between(self, dropped):
        """The group knows what it has told."""
        dropped.do(Forget(500), create("k2", 7))

        assert ["expired", "created"] == kinds(dropped.events, "k2")

    def test_everything_else_in_its_group_is_written(self, dropped, clock):
        """Wherever in the group it stands."""
        dropped.create("short", 1, ttl=1)
        clock.now += 1
        dropped.do(create("before", 1), Sweep(10), Forget(500), create("behind", 2), delete("stays"))
        clock.now -= 2  # what was swept stays away because its removal is in the file
        with dropped.reopened() as again:
            assert {"before": 1, "behind": 2} == again.contents()
            assert ["before", "behind"] == again.list()

    def test_telling_for_which_there_is_no_room_loses_nothing_else(self, dropped, monkeypatch):
        """It is told of later, and what shares its group is written."""
        with monkeypatch.context() as patched:
            cost = dropped.engine.cost
            patched.setattr(dropped.engine, "cost", lambda changes, *more: cost(changes, *more) if changes else 1 << 40)
            dropped.do(Forget(500), *(create(f"new{n}", n) for n in range(8)))
        assert 8 == len(dropped.events)
        dropped.settle()

        assert 13 == len(dropped.events)
        with dropped.reopened() as again:
            assert {"stays": 1, **{f"new{n}": n for n in range(8)}} == again.contents()

    def test_a_clear_does_not_count_them(self, dropped):
        """They were gone before it; they are told of as expired."""
        assert 1 == dropped.ask("clear")["deleted"]
        dropped.settle()

        assert {"expired": 5, "deleted": 1} == {
            kind: sum(event.kind == kind for event in dropped.events) for kind in ("expired", "deleted")
        }

    def test_keys_that_a_compaction_drops_no_longer_count_as_expiring(self, opened, clock):
        """The heap stays as small as without compactions, which remove expired keys before a sweep does."""
        for number in range(3):
            opened.do(create_all({f"k{number}.{n}": b"1" for n in range(1000)}, ttl=5))
            clock.now += 5
            opened.do(create(f"stays{number}", 1, ttl=1000))
            opened.compact()
            assert number + 1 == len(opened.keys)
            opened.settle()
        for _ in range(3):
            opened.sweep(1000)
        assert 3 == len(opened.keys.expiry)
        for _ in range(1500):
            opened.do(create("a", 1, ttl=1000), delete("a"))

        assert len(opened.keys.expiry._heap) < 1100
