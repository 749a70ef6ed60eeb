"""clear: of few keys at once, of many in one short commit whose removals are written down beside service."""

import pytest

from kvclient import KeyExistsError, KeyNotFoundError
from kvd.backend.file.store.operations.clear import AT_ONCE
from kvd.backend.file.store.operations.upkeep import Sweep, WriteDown
from stores import Opened, as_others_read, create, create_all, delete, request

MANY = 5000


def fill(opened, count=MANY, prefix="k"):
    for start in range(0, count, 1000):
        opened.do(create_all({f"{prefix}{n:05}": b"1" for n in range(start, min(count, start + 1000))}))


class TestFewKeys:
    def test_only_keys_with_the_prefix_go(self, opened):
        """Each at a revision of its own, and the reply tells how many there were."""
        opened.do(create("a:1", 1), create("a:2", 2), create("b", 3))

        assert {"ok": True, "revision": 5, "deleted": 2} == opened.ask("clear", prefix="a:")
        assert {"b": 3} == opened.contents()
        assert as_others_read(opened.path) == {"b": 3}

    def test_clearing_nothing_changes_nothing(self, opened):
        """The revision stays, and there is no commit."""
        opened.do(create("a", 1))
        size = opened.engine.used_bytes

        assert {"ok": True, "revision": 1, "deleted": 0} == opened.ask("clear", prefix="b")
        assert size == opened.engine.used_bytes

    def test_many_small_clears_in_a_group_see_what_was_put_in_it(self, opened):
        """A key that is created before a clear of its group is cleared, one that is created behind it stays."""
        operations = []
        for number in range(50):
            operations += [create("a", number), create("b", number), request("clear", prefix="a")]
            operations += [request("clear", prefix="b"), request("clear")]
        results = opened.do(*operations, create("last", 1))

        assert [1, 2, 3, 4, 4] == results[:5]
        assert 201 == results[-1]
        assert {"last": 1} == opened.contents()
        assert ["last"] == opened.list()

    def test_keys_that_have_expired_are_not_counted(self, opened, clock):
        """They were gone already."""
        opened.do(create("a1", 1, ttl=5), create("a2", 2))
        clock.now += 5

        assert 1 == opened.ask("clear", prefix="a")["deleted"]
        assert 0 == opened.ask("count")["count"]


class TestManyKeys:
    def test_all_are_gone_at_once(self, opened):
        """For reads, lists, counts and changes, though the file still has their entries."""
        fill(opened)
        opened.do(create("other", 1))

        assert {"ok": True, "revision": 7, "deleted": MANY} == opened.ask("clear", prefix="k")
        assert MANY < len(opened.engine)
        assert ["other"] == opened.list()
        assert {"other": 1} == opened.contents()
        assert isinstance(opened.do(delete("k00000"))[0], KeyNotFoundError)
        assert [] == opened.ask("read_many", keys=["k00000", "k04999"])["entries"]
        assert {"exists": False, "ok": True} == opened.ask("exists", key="k00001")

    def test_counts_are_exact_while_it_is_written_down(self, opened):
        """Also those of longer prefixes, which wait until that is done."""
        fill(opened)
        opened.ask("clear", prefix="k")
        opened.do(create("k00007", 1), create("z", 1))

        assert opened.keys.counts_at_once("")
        assert 2 == opened.ask("count")["count"]
        assert 1 == opened.ask("count", prefix="k")["count"]
        assert not opened.keys.counts_at_once("k0000")
        opened.settle()
        assert 1 == opened.ask("count", prefix="k0000")["count"]
        assert 2 == opened.ask("count")["count"]
        assert 1 == opened.ask("count", prefix="k")["count"]
        assert {"k00007": 1, "z": 1} == as_others_read(opened.path)

    def test_recreated_key_is_the_new_one(self, opened):
        """The removal of the old one is told before it, and the writing down leaves it alone."""
        fill(opened)
        opened.ask("clear")
        events = opened.follow()
        opened.do(create("k00003", "new"))
        assert isinstance(opened.do(create("k00003", "newer"))[0], KeyExistsError)
        opened.settle()

        assert [("deleted", b"1", None), ("created", None, b'"new"')] == [
            (event.kind, event.previous, event.value) for event in events if event.key == "k00003"
        ]
        assert MANY + 1 == len(events)
        assert sorted(event.revision for event in events) == [event.revision for event in events]
        assert {"k00003": "new"} == opened.contents()

    def test_writing_down_gets_past_keys_that_were_all_recreated(self, opened):
        """A portion in which nothing is left to remove is not looked at for ever."""
        fill(opened)
        opened.ask("clear")
        opened.do(create_all({f"k{n:05}": b"2" for n in range(1000)}))
        for _ in range(MANY // 300 + 1):
            opened.do(WriteDown(300))

        assert not opened.keys.clears
        assert 1000 == opened.ask("count")["count"]

    def test_clear_sees_what_its_group_did_before(self, opened):
        """Keys that were created, replaced and removed before it in the group count, or not, as it finds them."""
        fill(opened)
        results = opened.outcomes(
            create("k-new", 1), delete("k00001"), request("put", key="k00002", value=5), request("clear", prefix="k")
        )

        assert b'"deleted":%d' % MANY == results[-1].fields
        opened.settle()
        assert {} == opened.contents()

    def test_what_its_group_puts_behind_it_stays(self, opened):
        """Both a key that was cleared and one that was not there."""
        fill(opened)
        opened.do(request("clear"), create("k00000", 2), request("put", key="x", value=3), delete("x"), create("y", 4))
        opened.settle()

        assert {"k00000": 2, "y": 4} == opened.contents()
        assert 2 == opened.ask("count")["count"]

    def test_second_large_clear_waits_for_the_first(self, opened):
        """It is decided when the first is written down, and finds nothing of it."""
        fill(opened)
        opened.ask("clear", prefix="k")
        fill(opened, 2 * AT_ONCE, prefix="n")

        assert [] == opened.do(request("clear", prefix="n"))
        opened.settle()
        assert 2 * AT_ONCE == opened.ask("clear")["deleted"]

    def test_clear_survives_a_crash_before_and_while_it_is_written_down(self, directory, clock):
        """Its one commit decides; whoever opens the file afterwards goes on writing down."""
        opened = Opened(directory / "s.json", clock, sync="never")
        fill(opened)
        opened.ask("clear", prefix="k")
        opened.crash()
        opened = Opened(opened.path, clock, sync="never")
        assert {} == opened.contents()
        opened.do(create("k00100", "again"))
        opened.do(WriteDown(300))
        opened.crash()

        with Opened(opened.path, clock) as opened:
            assert {"k00100": "again"} == opened.contents()
            assert opened.keys.clears
            opened.settle()
            assert 1 == opened.ask("count")["count"]
        assert {"k00100": "again"} == as_others_read(opened.path)

    def test_clear_survives_a_compaction(self, directory, clock):
        """Whether the compaction finds it written down, half or not at all."""
        opened = Opened(directory / "s.json", clock, sync="never")
        fill(opened)
        opened.ask("clear", prefix="k")
        opened.compact()
        assert {} == opened.contents()
        opened.do(create("k00000", 1), WriteDown(300))
        opened.compact()
        opened.crash()

        with Opened(opened.path, clock) as opened:
            opened.settle()
            assert {"k00000": 1} == opened.contents()
            assert 1 == opened.ask("count")["count"]

    def test_clear_of_a_store_whose_order_is_not_known_yet_is_written_down(self, directory, clock):
        """The order is made in steps, behind each of which the chore goes on at once."""
        opened = Opened(directory / "s.json", clock, sync="never")
        fill(opened, 25_000)
        while not opened.do(request("clear", prefix="k")):
            pass
        opened.crash()
        with Opened(opened.path, clock, sync="never") as opened:
            opened.create("k00001", 1)
            group = opened.decide(WriteDown(300))
            assert not group.upkeep_waits
            opened.settle()
            assert 1 == opened.ask("count", prefix="k")["count"]
            assert {"k00001": 1} == opened.contents()

    def test_writing_down_that_fails_is_done_again(self, opened):
        """What the disk did not take is still to be written down; nothing comes back."""
        fill(opened)
        opened.ask("clear")
        for _ in range(3):
            group = opened.decide(WriteDown(300))
            opened.store.fail(group)
        opened.settle()

        assert 0 == len(opened.engine)
        assert {} == opened.contents()

    def test_writing_down_that_is_refused_in_a_group_is_done_again(self, opened, monkeypatch):
        """Beside an operation that finds room, one for which there is none leaves no trace."""
        fill(opened)
        opened.ask("clear")
        with monkeypatch.context() as patched:
            cost = opened.engine.cost
            patched.setattr(
                opened.engine,
                "cost",
                lambda changes, *more: 1 << 40 if len(changes) > 100 else cost(changes, *more),
            )
            group = opened.decide(WriteDown(300), create("x", 1))
            opened.store.write(group)
            opened.store.finish(group)
        assert group.upkeep_waits
        opened.settle()

        assert {"x": 1} == opened.contents()
        assert 1 == len(opened.engine)

    def test_refused_operation_behind_a_clear_does_not_undo_it(self, opened):
        """Only what was refused is taken back."""
        fill(opened)
        cleared, refused, created = opened.do(request("clear"), delete("k00000"), create("k00000", 7))

        assert (6, 8) == (cleared, created)
        assert isinstance(refused, KeyNotFoundError)
        opened.settle()
        assert {"k00000": 7} == opened.contents()

    @pytest.mark.parametrize("recreate", [False, True])
    def test_expiring_keys_are_told_of_once(self, opened, clock, recreate):
        """Keys that expire after they were cleared are deleted, not expired."""
        opened.do(create_all({f"k{n:05}": b"1" for n in range(2000)}, ttl=5))
        events = opened.follow()
        opened.ask("clear")
        clock.now += 5
        if recreate:
            opened.do(create("k00000", 1))
        opened.do(Sweep(3000))
        opened.settle()

        assert {"deleted"} == {event.kind for event in events if event.previous is not None}
        assert 2000 == len({event.key for event in events})
        assert 2000 == sum(event.kind == "deleted" for event in events)
        assert int(recreate) == opened.ask("count")["count"]

    def test_file_that_is_full_can_be_cleared(self, directory, clock):
        """The clear uses what is kept for removals, whatever the number of keys."""
        with Opened(directory / "full.json", clock, sync="never", max_file_bytes=1 << 18) as opened:
            number = 0
            while opened.do(create_all({f"k{number}.{n}": b"1" for n in range(100)})) and len(opened.engine) > number:
                number = len(opened.engine)
            assert number > AT_ONCE
            assert number == opened.ask("clear")["deleted"]
            assert {} == opened.contents()
