"""Several keys in one step: batch_create, batch, delete_many, read_many. All of it or nothing."""

import pytest

from kvclient import (
    BatchTooLargeError,
    DataStoreError,
    InvalidKeyError,
    KeyExistsError,
    KeyNotFoundError,
    KeyTooLongError,
    RevisionMismatchError,
)
from stores import Opened, create, create_all, delete, request

REFUSED = {
    "create": ({"key": "a", "value": 1}, KeyExistsError),
    "put": ({"key": "a", "value": 1, "if_revision": 77}, RevisionMismatchError),
    "update": ({"key": "missing", "value": 1}, KeyNotFoundError),
    "delete": ({"key": "gone"}, KeyNotFoundError),
    "pop": ({"key": "missing"}, KeyNotFoundError),
    "increment": ({"key": "a"}, DataStoreError),
    "expire": ({"key": "missing", "ttl": 1}, KeyNotFoundError),
}


class TestBatchCreate:
    def test_error_names_every_offending_key(self, opened):
        """Invalid, too long and existing keys are all named, and nothing is written."""
        opened.create("here", 1)
        (refused,) = opened.do(create_all({"here": b"1", "x" * 300: b"1", "tab\t": b"1", "fine": b"1"}))

        assert {"here", "x" * 300, "tab\t"} == set(refused.keys)
        assert {"here": 1} == opened.contents()

    @pytest.mark.parametrize(
        ("key", "error"), [("k" * 257, KeyTooLongError), ("", InvalidKeyError), ("tab\t", InvalidKeyError)]
    )
    def test_one_invalid_key_refuses_all(self, opened, key, error):
        """Whatever is wrong with it."""
        (refused,) = opened.do(create_all({"fine": b"1", key: b"1"}))

        assert type(refused) is error
        assert (key,) == refused.keys
        assert 0 == len(opened.keys)

    def test_keys_that_have_expired_are_created_anew(self, opened, clock):
        """As by create."""
        opened.do(create("a", 1, ttl=5), create("b", 1))
        opened.delete("b")
        clock.now += 5
        opened.batch({"a": 2, "b": 2}, ttl=7)

        assert {"a": 2, "b": 2} == opened.contents()
        assert clock.now + 7 == opened.ask("read", key="b")["expires_at"]

    def test_none_is_a_success_that_changes_nothing(self, opened):
        """And can be repeated with its id."""
        assert [0, 0] == opened.do(create_all({}), create_all({}, id="c:1"))
        assert [1, 0] == opened.do(create("a", 1), create_all({}, id="c:1"))


class TestBatch:
    def test_each_operation_sees_those_before_it(self, opened, clock):
        """Every kind of them; the results are what their own replies would say."""
        reply = opened.ask(
            "batch",
            operations=[
                {"op": "create", "key": "a", "value": 1, "ttl": 5},
                {"op": "increment", "key": "a", "by": 4},
                {"op": "put", "key": "b", "value": [1], "if_revision": 0},
                {"op": "update", "key": "b", "value": [2], "if_revision": 3},
                {"op": "expire", "key": "b", "ttl": 9},
                {"op": "pop", "key": "a"},
                {"op": "create", "key": "a", "value": 2},
                {"op": "delete", "key": "a"},
            ],
        )

        assert [5, 5] == [result["value"] for result in reply["results"] if "value" in result]
        assert list(range(1, 9)) == [result["revision"] for result in reply["results"]]
        assert {"b": [2]} == opened.contents()
        assert clock.now + 9 == opened.ask("read", key="b")["expires_at"]

    @pytest.mark.parametrize("op", REFUSED)
    def test_first_that_is_refused_refuses_all(self, opened, op):
        """The error is its own, with its index; the store, and the group, are as before."""
        opened.do(create("a", "text"), create("gone", 1))
        fields, error = REFUSED[op]
        operations = [
            {"op": "delete", "key": "gone"},
            {"op": "create", "key": "new", "value": 1},
            {"op": "put", "key": "a", "value": "other", "ttl": 5},
            {"op": op, **fields},
            {"op": "delete", "key": "missing, too"},
        ]
        events = opened.follow()
        before, refused, again, behind = opened.do(
            create("before", 1), request("batch", operations=operations), create("new", 7), delete("gone")
        )

        assert isinstance(refused, error)
        assert 3 == refused.index
        assert (3, 4, 5) == (before, again, behind)
        assert {"a": "text", "before": 1, "new": 7} == opened.contents()
        assert [("before", 3), ("new", 4), ("gone", 5)] == [(event.key, event.revision) for event in events]
        assert sorted(opened.contents()) == opened.list()

    def test_refused_batch_lets_expired_keys_be_what_they_were(self, opened, clock):
        """Their removal, written down on the way, is taken back, too."""
        opened.create("a", 1, ttl=5)
        clock.now += 5
        events = opened.follow()
        operations = [{"op": "create", "key": "a", "value": 2}, {"op": "delete", "key": "missing"}]
        (refused,) = opened.do(request("batch", operations=operations))
        assert isinstance(refused, KeyNotFoundError)
        opened.sweep()

        assert [("expired", b"1")] == [(event.kind, event.previous) for event in events]

    def test_results_that_are_too_large_refuse_all(self, directory, clock):
        """A reply has a bound, too."""
        with Opened(directory / "s.json", clock, sync="never", max_request_bytes=10_000) as opened:
            opened.do(*(create(f"k{n}", "x" * 4000) for n in range(3)))
            (refused,) = opened.do(request("batch", operations=[{"op": "pop", "key": f"k{n}"} for n in range(3)]))

            assert isinstance(refused, BatchTooLargeError)
            assert 2 == refused.index
            assert "max_request_bytes" in str(refused)
            assert 3 == len(opened.contents())

    def test_none_is_a_success_that_changes_nothing(self, opened):
        """With no results."""
        assert {"ok": True, "revision": 0, "results": []} == opened.ask("batch", operations=[])


class TestDeleteMany:
    def test_those_that_exist_go(self, opened, clock):
        """Once each, however often they are named; the reply names them in the order of the request."""
        opened.do(create("a", 1), create('é"', 1), create("b", 1), create("expired", 1, ttl=5))
        clock.now += 5

        assert ["b", 'é"'] == opened.ask("delete_many", keys=["b", "missing", 'é"', "b", "expired"])["deleted"]
        assert {"a": 1} == opened.contents()

    def test_none_changes_nothing(self, opened):
        """The revision stays."""
        opened.create("a", 1)

        assert {"ok": True, "revision": 1, "deleted": []} == opened.ask("delete_many", keys=["x", "y"])


class TestReadMany:
    def test_those_that_exist_are_told(self, opened, clock):
        """Once each, as entries with their values."""
        opened.do(create("a", [1], ttl=5), create("b", None), create("expired", 1, ttl=1))
        clock.now += 1

        assert [
            {"key": "b", "revision": 2, "value": None},
            {"key": "a", "revision": 1, "value": [1], "expires_at": clock.now + 4},
        ] == opened.ask("read_many", keys=["b", "missing", "a", "b", "expired"])["entries"]

    def test_values_that_are_too_large_together_are_refused(self, directory, clock):
        """The error says how large they are, and what the limit is."""
        with Opened(directory / "s.json", clock, sync="never", max_request_bytes=10_000) as opened:
            opened.do(*(create(f"k{n}", "x" * 4000) for n in range(3)))
            assert 2 == len(opened.ask("read_many", keys=["k0", "k1"])["entries"])
            with pytest.raises(BatchTooLargeError, match=r"12006 bytes.*max_request_bytes"):
                opened.ask("read_many", keys=["k0", "k1", "k2"])
