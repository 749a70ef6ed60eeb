"""One key's value: create, read, put, update, delete, pop, increment, expire, exists."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvclient import (
    DataStoreError,
    InvalidTTLError,
    InvalidValueError,
    KeyExistsError,
    KeyNotFoundError,
    RevisionMismatchError,
)
from stores import Opened, create


class TestCreateAndRead:
    def test_value_is_kept_as_it_is(self, opened):
        """Whatever JSON it is, with its revision."""
        for number, value in enumerate([None, 0, -0.0, 'é\n"', [], {}, {"": [1, {"a": None}]}, True], 1):
            opened.create(f"k{number}", value)
            assert {"ok": True, "value": value, "revision": number} == opened.ask("read", key=f"k{number}")

    def test_existing_key_is_not_created(self, opened):
        """It keeps its value."""
        opened.create("a", 1)
        with pytest.raises(KeyExistsError) as caught:
            opened.create("a", 2)

        assert ("a",) == caught.value.keys
        assert 1 == opened.read("a")

    def test_read_tells_when_a_key_expires(self, opened, clock):
        """In Unix seconds, and of one that does not, nothing."""
        opened.create("a", 1, ttl=5.5)

        assert clock.now + 5.5 == opened.ask("read", key="a")["expires_at"]
        assert [{"key": "a", "revision": 1, "expires_at": clock.now + 5.5}] == opened.ask("list")["entries"]

    def test_exists_tells_whether_a_read_would_find_it(self, opened, clock):
        """Also of an expired key."""
        opened.create("a", 1, ttl=5)
        assert opened.ask("exists", key="a")["exists"]
        clock.now += 5

        assert not opened.ask("exists", key="a")["exists"]
        assert not opened.ask("exists", key="b")["exists"]

    @pytest.mark.parametrize("op", ["read", "delete", "pop", "update", "expire"])
    def test_key_that_does_not_exist_is_named(self, opened, op):
        """Nothing is changed."""
        fields = {"update": {"value": 1}, "expire": {"ttl": 1}}.get(op, {})
        with pytest.raises(KeyNotFoundError, match="'missing'") as caught:
            opened.ask(op, key="missing", **fields)

        assert ("missing",) == caught.value.keys
        assert 0 == opened.engine.revision


class TestPutAndUpdate:
    def test_put_creates_and_replaces(self, opened):
        """A revision each."""
        assert {"ok": True, "revision": 1} == opened.ask("put", key="a", value=1)
        assert {"ok": True, "revision": 2} == opened.ask("put", key="a", value=[2])

        assert [2] == opened.read("a")

    @pytest.mark.parametrize("op", ["put", "update"])
    def test_old_ttl_is_cleared_or_kept(self, opened, clock, op):
        """Without a ttl it is cleared, with keep_ttl it stays, with a ttl it is another."""
        opened.create("a", 1, ttl=5)
        opened.ask(op, key="a", value=2, keep_ttl=True)
        assert clock.now + 5 == opened.ask("read", key="a")["expires_at"]
        opened.ask(op, key="a", value=3, ttl=7)
        assert clock.now + 7 == opened.ask("read", key="a")["expires_at"]
        opened.ask(op, key="a", value=4)
        assert "expires_at" not in opened.ask("read", key="a")

    def test_ttl_and_keep_ttl_contradict_each_other(self, opened):
        """The error says so."""
        opened.create("a", 1)
        with pytest.raises(InvalidTTLError, match="keep_ttl"):
            opened.ask("put", key="a", value=2, ttl=5, keep_ttl=True)

    def test_keep_ttl_of_a_key_that_is_not_there(self, opened, clock):
        """A key that put creates does not expire, nor does it inherit from one that has expired."""
        opened.create("a", 1, ttl=5)
        clock.now += 5
        opened.ask("put", key="a", value=2, keep_ttl=True)

        assert "expires_at" not in opened.ask("read", key="a")


class TestIfRevision:
    @pytest.mark.parametrize("op", ["put", "update", "delete", "pop"])
    @pytest.mark.parametrize(("wanted", "done"), [(0, False), (1, False), (2, True), (3, False)])
    def test_existing_key_changes_at_its_revision_only(self, opened, op, wanted, done):
        """The error names the revision that was wanted and the one that was found."""
        opened.do(create("other", 1), create("a", 1))
        fields = {"value": 2} if op in ("put", "update") else {}
        if done:
            assert 3 == opened.ask(op, key="a", if_revision=wanted, **fields)["revision"]
            return
        with pytest.raises(RevisionMismatchError, match=rf"revision 2, .*revision {wanted}") as caught:
            opened.ask(op, key="a", if_revision=wanted, **fields)

        assert ("a",) == caught.value.keys
        assert 1 == opened.read("a")

    @pytest.mark.parametrize("op", ["put", "update", "delete", "pop"])
    def test_absent_key_is_at_revision_0(self, opened, op):
        """Anything else is a mismatch that says so."""
        fields = {"value": 2} if op in ("put", "update") else {}
        with pytest.raises(RevisionMismatchError, match="revision 0"):
            opened.ask(op, key="a", if_revision=7, **fields)

        assert 0 == opened.engine.revision

    def test_if_revision_0_creates_with_put_only(self, opened):
        """update, delete and pop of a key that does not exist find none."""
        assert 1 == opened.ask("put", key="a", value=1, if_revision=0)["revision"]
        for op, fields in (("update", {"value": 1}), ("delete", {}), ("pop", {})):
            with pytest.raises(KeyNotFoundError):
                opened.ask(op, key="b", if_revision=0, **fields)

    def test_expired_key_is_at_revision_0(self, opened, clock):
        """A put that wants it absent creates it."""
        opened.create("a", 1, ttl=5)
        clock.now += 5
        with pytest.raises(RevisionMismatchError, match="revision 0"):
            opened.ask("put", key="a", value=2, if_revision=1)

        assert opened.ask("put", key="a", value=2, if_revision=0)["ok"]


class TestPop:
    def test_pop_returns_what_it_removes(self, opened):
        """Also a value that was put in the same group."""
        opened.create("a", {"x": 1})

        assert {"ok": True, "revision": 2, "value": {"x": 1}} == opened.ask("pop", key="a")
        assert {} == opened.contents()


class TestExpire:
    def test_key_gets_another_ttl_and_keeps_its_value(self, opened, clock):
        """null: it never expires."""
        opened.create("a", [1])
        opened.ask("expire", key="a", ttl=5)
        assert {"ok": True, "value": [1], "revision": 2, "expires_at": clock.now + 5} == opened.ask("read", key="a")
        opened.ask("expire", key="a", ttl=None)
        assert {"ok": True, "value": [1], "revision": 3} == opened.ask("read", key="a")
        opened.ask("expire", key="a", ttl=1)
        clock.now += 1
        with pytest.raises(KeyNotFoundError):
            opened.ask("expire", key="a", ttl=5)


class TestIncrement:
    def test_absent_key_begins_at_initial_plus_by(self, opened, clock):
        """And gets the ttl; a key that exists keeps its own."""
        assert {"ok": True, "revision": 1, "value": 12} == opened.ask("increment", key="n", by=2, initial=10, ttl=5)
        clock.now += 1
        assert 13 == opened.ask("increment", key="n", initial=99, ttl=50)["value"]
        assert clock.now + 4 == opened.ask("read", key="n")["expires_at"]
        clock.now += 4
        assert 1 == opened.ask("increment", key="n")["value"]
        assert "expires_at" not in opened.ask("read", key="n")

    @pytest.mark.parametrize("value", ["1", None, True, [1], {}])
    def test_value_that_is_no_number_is_refused(self, opened, value):
        """And stays."""
        opened.create("a", value)
        with pytest.raises(InvalidValueError, match="'a'"):
            opened.ask("increment", key="a")

        assert value == opened.read("a")

    @pytest.mark.parametrize(("start", "by"), [(1.7e308, 1.7e308), (10**400, 0.5), (10**4300 - 1, 1)])
    def test_number_that_becomes_too_large_is_refused(self, opened, start, by):
        """A double cannot hold it, or no Python program could parse it."""
        opened.create("a", start)
        with pytest.raises(InvalidValueError, match="too large"):
            opened.ask("increment", key="a", by=by)

        assert start == opened.read("a")

    @pytest.mark.usefixtures("many_openings")
    @given(
        start=st.integers(-(10**30), 10**30) | st.floats(-1e300, 1e300),
        by=st.integers(-(10**30), 10**30) | st.floats(-1e300, 1e300),
    )
    def test_sums_are_python_s(self, memory, clock, start, by):
        """Whole numbers exactly and without bound, others as doubles."""
        with Opened(memory / f"{abs(hash((start, by)))}.json", clock, sync="never") as opened:
            opened.ask("put", key="n", value=start)
            told = opened.ask("increment", key="n", by=by)["value"]
        opened.path.unlink()

        assert (start + by, type(start + by)) == (told, type(told))
        assert math.isfinite(told)


class TestDamagedValue:
    def test_value_that_cannot_be_read_refuses_with_its_key(self, opened, monkeypatch):
        """A read, a page and an increment name the key."""
        opened.create("a", 1)

        def fail(_):
            raise DataStoreError("The disk is broken.")

        monkeypatch.setattr(opened.engine, "read", fail)
        for op, fields in (("read", {"key": "a"}), ("list", {"values": True})):
            with pytest.raises(DataStoreError, match="broken") as caught:
                opened.ask(op, **fields)
            assert ("a",) == caught.value.keys
