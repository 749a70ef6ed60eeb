"""Groups: operations that share a commit, and the revisions that it gives them."""

import pytest

from kvclient import KeyExistsError, KeyNotFoundError
from stores import create, create_all, delete, request


class TestRevisions:
    def test_every_operation_raises_the_revision_by_one(self, opened):
        """A batch_create counts one, whatever is in it; refusals count nothing."""
        results = opened.do(create("a", 1), create_all({"b": b"1", "c": b"2"}), delete("a"))
        (refused,) = opened.do(create("b", 1))

        assert [1, 2, 3] == results
        assert isinstance(refused, KeyExistsError)
        assert [4] == opened.do(create("d", 1))

    def test_removal_of_several_keys_counts_each(self, opened):
        """So every event of a key has a revision of its own."""
        opened.do(create_all({f"k{n}": b"1" for n in range(4)}))

        assert 4 == opened.ask("delete_many", keys=["k0", "k1", "k2"])["revision"]
        opened.ask("put", key="x", value=1)
        assert 7 == opened.ask("clear")["revision"]

    def test_batch_counts_each_of_its_operations(self, opened):
        """Each result tells its own; the reply tells that of the last."""
        reply = opened.ask(
            "batch",
            operations=[
                {"op": "create", "key": "a", "value": 1},
                {"op": "increment", "key": "a"},
                {"op": "pop", "key": "a"},
            ],
        )

        assert 3 == reply["revision"]
        assert [{"revision": 1}, {"revision": 2, "value": 2}, {"revision": 3, "value": 2}] == reply["results"]

    def test_revision_survives_when_all_keys_are_gone(self, opened):
        """Neither a compaction of an empty store nor a restart makes the count begin anew."""
        opened.create("a", 1)
        opened.delete("a")
        opened.compact()
        with opened.reopened() as again:
            assert 3 == again.create("a", 1)


class TestGroups:
    def test_operations_of_a_group_see_each_other(self, opened):
        """A key deleted in a group can be created again in it, and one created in it exists."""
        first, again, deleted, recreated = opened.do(create("a", 1), create("a", 2), delete("a"), create("a", 3))

        assert (1, 2, 3) == (first, deleted, recreated)
        assert isinstance(again, KeyExistsError)
        assert 3 == opened.read("a")

    def test_batches_of_a_group_see_each_other(self, opened):
        """Of two batches with a key in common, the first is carried out and the second refused, whole."""
        first, second = opened.do(create_all({"a": b"1", "b": b"1"}), create_all({"b": b"2", "c": b"2"}))

        assert 1 == first
        assert isinstance(second, KeyExistsError)
        assert ("b",) == second.keys
        assert {"a": 1, "b": 1} == opened.contents()

    def test_group_is_invisible_until_it_is_finished(self, opened):
        """What is decided but not written cannot be read, listed or counted."""
        group = opened.decide(create("a", 1))
        with pytest.raises(KeyNotFoundError):
            opened.read("a")
        assert [] == opened.list()
        opened.store.write(group)
        opened.store.finish(group)

        assert 1 == opened.read("a")
        assert ["a"] == opened.list()

    def test_group_that_fails_leaves_nothing_behind(self, opened):
        """What it would have done can be asked again, with the same ids, and gets the same revisions."""
        operations = [create("a", 1, id="c:1"), request("increment", key="n", id="d:1"), delete("a", id="c:2")]
        opened.store.fail(opened.decide(*operations))

        assert 0 == opened.engine.revision
        assert [1, 2, 3] == opened.do(*operations)

    def test_every_change_of_a_key_is_told_in_order(self, opened):
        """With what was there before it, also of a key that comes several times in a group."""
        events = opened.follow()
        opened.do(create("a", 1), request("put", key="a", value=2), delete("a"), create("a", 3), create("b", 4))

        assert [
            ("created", "a", None, b"1", 1),
            ("updated", "a", b"1", b"2", 2),
            ("deleted", "a", b"2", None, 3),
            ("created", "a", None, b"3", 4),
            ("created", "b", None, b"4", 5),
        ] == [(event.kind, event.key, event.previous, event.value, event.revision) for event in events]
        assert ["a", "b"] == opened.list()
