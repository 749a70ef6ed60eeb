"""The store on a real data file, with a clock that the tests move."""

import time

import pytest

from kvclient import (
    BatchTooLargeError,
    InvalidKeyError,
    InvalidTTLError,
    KeyExistsError,
    KeyNotFoundError,
    KeyTooLongError,
    RequestError,
    StoreFullError,
    ValueTooLargeError,
)
from kvd.backend.file.engine.file import JsonFile
from kvd.backend.file.store.operations import Create, Delete, Sweep
from kvd.backend.file.store.outcomes import MOST_CLIENTS
from kvd.backend.file.store.store import Limits, Store


class Opened:
    """A store and its file, with one call for an operation from decision to visibility."""

    def __init__(self, path, clock, *, sync="never", **limits):
        self.path, self.clock, self.limits = path, clock, Limits(**limits)
        self.engine = JsonFile(path, sync=sync, max_file_bytes=self.limits.max_file_bytes)
        self.store = Store(self.engine, self.limits, clock)

    def do(self, *operations):
        """Carry out operations, as many groups and compactions as they need."""
        results = []
        while len(results) < len(operations):
            group = self.store.decide(operations[len(results) :])
            self.store.write(group)
            self.store.finish(group)
            results += group.results
            if not group.results:
                self.compact()
        return results

    def compact(self):
        for job in self.store.compact():
            if job is not None:
                job.run()

    def read(self, key):
        return self.store.read(key)[0]

    def reopened(self):
        self.engine.close()
        return Opened(self.path, self.clock, **self.limits._asdict())


@pytest.fixture
def opened(directory, clock):
    opened = Opened(directory / "s.json", clock)
    yield opened
    opened.engine.close()


def create(key, value=b"1", **more):
    return Create({key: value}, **more)


@pytest.mark.parametrize("now", [-1_000_000.0, -5.0, -2.5, 0.0])
def test_a_clock_that_stands_before_1970(opened, clock, now):
    """A TTL counts there as ever: across a restart and a compaction, and also where a key expires at 0."""
    clock.now = now
    opened.do(create("short", ttl=5), create("long", ttl=1000), create("always"))
    opened.compact()
    again = opened.reopened()
    try:
        assert b"1" == again.read("short") == again.read("long")
        clock.now = now + 5
        with pytest.raises(KeyNotFoundError):
            again.read("short")
        again.do(Sweep(10))
        assert 2 == len(again.store)
        again.compact()
        assert b"1" == again.read("long") == again.read("always")
        assert now + 1000 == again.engine.find("long").expires_at
    finally:
        again.engine.close()


class TestRevisions:
    def test_every_change_raises_the_revision_by_one(self, opened):
        """Creates, batches and deletes count one each; refusals count nothing."""
        results = [opened.do(operation)[0] for operation in (create("a"), Create({"b": b"1", "c": b"2"}), Delete("a"))]
        (refused,) = opened.do(create("b"))

        assert [1, 2, 3] == results
        assert isinstance(refused, KeyExistsError)
        assert [4] == opened.do(create("d"))

    def test_revision_survives_when_all_keys_are_gone(self, opened):
        """Neither a compaction of an empty store nor a restart makes the count begin anew."""
        opened.do(create("a"))
        opened.do(Delete("a"))
        opened.compact()
        opened = opened.reopened()

        assert [3] == opened.do(create("a"))
        opened.engine.close()


class TestGroups:
    def test_operations_of_a_group_see_each_other(self, opened):
        """A key deleted in a group can be created again in it, and one created in it exists."""
        first, again, deleted, recreated = opened.do(
            create("a", b"1"), create("a", b"2"), Delete("a"), create("a", b"3")
        )

        assert (1, 2, 3) == (first, deleted, recreated)
        assert isinstance(again, KeyExistsError)
        assert b"3" == opened.read("a")

    def test_batches_of_a_group_see_each_other(self, opened):
        """Of two batches with a key in common, the first is carried out and the second refused, whole."""
        first, second = opened.do(Create({"a": b"1", "b": b"1"}), Create({"b": b"2", "c": b"2"}))

        assert 1 == first
        assert isinstance(second, KeyExistsError)
        assert ("b",) == second.keys
        with pytest.raises(KeyNotFoundError):
            opened.read("c")

    def test_group_is_invisible_until_it_is_finished(self, opened):
        """What is decided but not written cannot be read."""
        group = opened.store.decide([create("a")])
        with pytest.raises(KeyNotFoundError):
            opened.read("a")
        opened.store.write(group)
        opened.store.finish(group)

        assert b"1" == opened.read("a")


class TestExpiry:
    def test_key_is_gone_at_its_instant(self, opened, clock):
        """A key is readable until `expires_at`, and not at it; then it can be created again."""
        opened.do(create("a", ttl=5))
        clock.now += 4.999
        assert b"1" == opened.read("a")
        clock.now += 0.001
        with pytest.raises(KeyNotFoundError):
            opened.read("a")
        (missing,) = opened.do(Delete("a"))

        assert isinstance(missing, KeyNotFoundError)
        assert [2] == opened.do(create("a", b"2"))

    def test_ttl_survives_a_restart(self, opened, clock):
        """Time goes on while the file is closed."""
        opened.do(create("a", ttl=5), create("b", ttl=500))
        opened = opened.reopened()
        clock.now += 5

        assert b"1" == opened.read("b")
        with pytest.raises(KeyNotFoundError):
            opened.read("a")
        opened.engine.close()

    def test_swept_key_stays_away_when_the_clock_is_set_back(self, opened, clock):
        """The removal of an expired key is recorded."""
        opened.do(create("a", ttl=5))
        clock.now += 6
        opened.do(Sweep(10))
        clock.now -= 100
        opened = opened.reopened()

        with pytest.raises(KeyNotFoundError):
            opened.read("a")
        assert 0 == len(opened.store)
        opened.engine.close()

    def test_sweep_is_bounded(self, opened, clock):
        """A sweep removes so many keys at the most; the next goes on."""
        opened.do(*(create(f"k{n}", ttl=1) for n in range(10)))
        clock.now += 1
        opened.do(Sweep(4))
        assert 6 == len(opened.store)
        opened.do(Sweep(100))

        assert 0 == len(opened.store)
        assert opened.store.next_expiry() is None

    def test_recreated_key_is_not_swept_for_its_former_life(self, opened, clock):
        """A stale time in the heap removes nothing."""
        opened.do(create("a", ttl=5))
        opened.do(Delete("a"))
        opened.do(create("a", ttl=50))
        clock.now += 6
        opened.do(Sweep(10))

        assert b"1" == opened.read("a")

    def test_key_stays_due_when_its_sweep_is_not_written(self, opened, clock):
        """Also one that is created anew in the group that fails."""
        opened.do(create("a", ttl=5), create("b", ttl=5))
        clock.now += 5
        group = opened.store.decide([create("a"), Sweep(10)])
        opened.store.fail(group)
        opened.do(Sweep(10))

        assert 0 == len(opened.store)

    def test_heap_does_not_grow_with_stale_times(self, opened):
        """Creating and deleting the same key for ever takes bounded memory."""
        for _ in range(3000):
            opened.do(create("a", ttl=1000), Delete("a"))
            opened.do(create("a", ttl=1000))
            opened.do(Delete("a"))

        assert len(opened.store._expiry._heap) < 2000

    def test_keys_that_a_compaction_drops_no_longer_count(self, opened, clock):
        """The heap stays as small as without compactions, which remove expired keys before a sweep does."""
        for number in range(3):
            opened.do(Create({f"k{number}.{n}": b"1" for n in range(1000)}, ttl=5))
            clock.now += 5
            opened.do(create(f"stays{number}", ttl=1000))
            opened.compact()
            assert number + 1 == len(opened.store)
        opened.do(*[Sweep(1000)] * 3)
        assert 3 == len(opened.store._expiry)
        for _ in range(1500):
            opened.do(create("a", ttl=1000), Delete("a"))

        assert len(opened.store._expiry._heap) < 1100

    @pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 10**400, "5", True])
    def test_invalid_ttl_is_refused(self, opened, ttl):
        """A TTL is a finite number of seconds above 0; nothing is written otherwise."""
        (refused,) = opened.do(create("a", ttl=ttl))

        assert isinstance(refused, InvalidTTLError)
        assert 0 == len(opened.store)


class TestLimits:
    def test_each_limit_at_its_edge(self, opened):
        """What is exactly at a limit passes; one more is refused, with the limit and the setting named."""
        longest, largest = "k" * 256, b'"' + b"v" * 1048574 + b'"'
        assert [1] == opened.do(create(longest, largest))
        assert [2] == opened.do(Create({f"b{n}": b"1" for n in range(10_000)}))
        too_long, too_large, too_many = opened.do(
            create("k" * 257), create("a", largest + b" "), Create({f"c{n}": b"1" for n in range(10_001)})
        )

        for error, kind, limit, setting in (
            (too_long, KeyTooLongError, "256", "max_key_length"),
            (too_large, ValueTooLargeError, "1048576", "max_value_bytes"),
            (too_many, BatchTooLargeError, "10000", "max_batch"),
        ):
            assert isinstance(error, kind)
            assert limit in str(error)
            assert setting in str(error)

    @pytest.mark.parametrize(
        ("items", "error"),
        [
            ({"fine": b"1", "k" * 257: b"1"}, KeyTooLongError),
            ({"fine": b"1", "large": b'"' + b"v" * 1048575 + b'"'}, ValueTooLargeError),
            ({"fine": b"1", "": b"1"}, InvalidKeyError),
            ({"fine": b"1", "tab\t": b"1"}, InvalidKeyError),
        ],
        ids=["long", "large", "empty", "control"],
    )
    def test_one_invalid_item_refuses_a_batch(self, opened, items, error):
        """Whichever limit it is over."""
        (refused,) = opened.do(Create(items))

        assert type(refused) is error
        assert (list(items)[1],) == refused.keys

    def test_error_of_a_batch_names_every_offending_key(self, opened):
        """Too long, too large and existing keys are all named, and nothing is written."""
        opened.do(create("here"))
        (refused,) = opened.do(Create({"here": b"1", "x" * 300: b"1", "fine": b"1"}))

        assert {"here", "x" * 300} == set(refused.keys)
        with pytest.raises(KeyNotFoundError):
            opened.read("fine")


class TestFullFile:
    def test_full_file_refuses_creates_and_still_deletes(self, directory, clock):
        """At max_file_bytes a create is StoreFullError, reads and deletes work, and a delete makes room."""
        opened = Opened(directory / "full.json", clock, max_file_bytes=8192)
        value = b'"%s"' % (b"x" * 100)
        created = []
        while isinstance(result := opened.do(create(f"key{len(created)}", value))[0], int):
            created.append(f"key{len(created)}")

        assert isinstance(result, StoreFullError)
        assert "max_file_bytes" in str(result)
        assert len(created) > 30
        assert opened.path.stat().st_size <= 8192
        for key in created[:5]:
            assert isinstance(opened.do(Delete(key))[0], int)
        assert isinstance(opened.do(create("new"))[0], int)
        assert value == opened.read(created[-1])
        assert opened.path.stat().st_size <= 8192
        opened.engine.close()

    @pytest.mark.parametrize(
        ("left", "deleted", "due"),
        [(17_000, 3, False), (17_000, 5, True), (1_000, 2, False), (1_000, 3, True), (135_000, 20, False)],
    )
    def test_a_nearly_full_file_is_compacted_if_that_doubles_its_room(self, directory, clock, left, deleted, due):
        """Before writers have to wait for it; and not for a trifle. Some of what is dead counts as markers to come."""
        opened = Opened(directory / "store.json", clock, max_file_bytes=1_000_000)
        number = 0
        while (size := min(9_900, opened.engine.room(removing=False) - left - 100)) > 100:
            opened.do(create(f"key{number}", b'"%s"' % (b"x" * size)))
            number += 1
        for deletion in range(deleted):
            opened.do(Delete(f"key{deletion}"))
        assert opened.store.compaction_due() is due
        opened.engine.close()

    def test_expired_keys_make_room(self, directory, clock):
        """A file full of expired keys takes a new one after a compaction that writes no record of their removal."""
        opened = Opened(directory / "full.json", clock, max_file_bytes=8192)
        value = b'"%s"' % (b"x" * 200)
        number = 0
        while isinstance(opened.do(create(f"key{number}", value, ttl=5))[0], int):
            number += 1
        clock.now += 5
        waiting = opened.store.decide([create("new", value)])
        opened.compact()

        assert number > 20
        assert [] == waiting.results
        assert isinstance(opened.do(create("new", value))[0], int)
        assert 1 == len(opened.store)
        opened.engine.close()

    def test_compaction_that_fails_is_followed_by_a_pause(self, directory, clock, monkeypatch):
        """Meanwhile none is due, and what needs its room is refused instead of waiting; what fits is carried out."""
        opened = Opened(directory / "full.json", clock, max_file_bytes=8192, compact_min_bytes=1)
        number = 0
        while opened.store.decide([create(f"key{number}", b"1" * 500)]).results:
            opened.do(create(f"key{number}", b"1" * 500), Delete(f"key{number}"))
            number += 1
        opened.path.with_name("full.json.compacting").mkdir()
        with pytest.raises(OSError, match="compacting"):
            opened.compact()

        assert not opened.store.compaction_due()
        refused, done = opened.do(create("large", b"1" * 500), create("a"))
        assert isinstance(refused, StoreFullError)
        assert "could not be compacted" in str(refused)
        assert isinstance(done, int)

        opened.path.with_name("full.json.compacting").rmdir()
        later = time.monotonic() + 60
        monkeypatch.setattr(time, "monotonic", lambda: later)
        assert opened.store.compaction_due()
        assert isinstance(opened.do(create("large", b"1" * 500))[0], int)
        opened.engine.close()


class TestExactlyOnce:
    def test_repetition_gets_the_first_answer(self, opened):
        """The same id is the same request: its success is told again, in a later group and in the same one."""
        (first,) = opened.do(create("a", id="c:1"))
        assert [first] == opened.do(create("a", id="c:1"))
        results = opened.do(Delete("a", id="c:2"), Delete("a", id="c:2"))

        assert [2, 2] == results

    def test_refusal_is_repeated_too(self, opened):
        """A refused request stays refused when it is repeated, whatever has changed since."""
        opened.do(create("a"))
        (refused,) = opened.do(create("a", id="c:1"))
        opened.do(Delete("a"))

        assert [refused] == opened.do(create("a", id="c:1"))

    def test_success_is_remembered_across_restart_and_compaction(self, opened):
        """It is part of the data file."""
        opened.do(create("a", id="c:7"))
        opened = opened.reopened()
        assert [1] == opened.do(create("a", id="c:7"))
        opened.compact()
        opened = opened.reopened()

        assert [1] == opened.do(create("a", id="c:7"))
        opened.engine.close()

    def test_success_just_before_the_first_step_of_a_compaction_is_remembered(self, opened):
        """A compaction that was asked for starts behind the commit that is due."""
        steps = opened.store.compact()
        opened.do(create("a", id="c:7"))
        for job in steps:
            if job is not None:
                job.run()
        opened = opened.reopened()

        assert [1] == opened.do(create("a", id="c:7"))
        opened.engine.close()

    def test_older_number_is_refused(self, opened):
        """A client's number only rises."""
        opened.do(create("a", id="c:7"))
        (refused,) = opened.do(create("b", id="c:6"))

        assert isinstance(refused, RequestError)

    def test_memory_for_clients_is_bounded(self, opened):
        """Of more clients than it remembers, those that were heard of last are known."""
        opened.do(create("first", id="first:1"))
        for number in range(MOST_CLIENTS):
            opened.do(create(f"k{number}", id=f"c{number}:1"))
        (forgotten,) = opened.do(create("first", id="first:1"))

        assert isinstance(forgotten, KeyExistsError)
        assert [MOST_CLIENTS + 1] == opened.do(create("again", id=f"c{MOST_CLIENTS - 1}:1"))
        assert len(opened.store._outcomes._latest) == MOST_CLIENTS
