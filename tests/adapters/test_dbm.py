"""dbm and shelve: what the standard library's documentation says of a database, and what ours says of this one."""

import dbm
import shelve

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvclient import InvalidValueError, KeyTooLongError
from kvclient.adapters import dbm as adapter
from kvclient.adapters.dbm import _escaped, _unescaped
from kvclient.contract.rules import check_key


@pytest.fixture
def opened(endpoint, key):
    """Open the test's database, with a flag."""
    databases = []

    def opened(flag="c", name=key):
        databases.append(adapter.open(name, flag, endpoint=endpoint, timeout=30))
        return databases[-1]

    yield opened
    for database in databases:
        database.close()


class TestDatabase:
    def test_keys_and_values_are_bytes(self, opened):
        """Text is taken as UTF-8."""
        database = opened()
        database[b"a"] = b"\x00\xff"
        database["é"] = "ü"

        assert (b"\x00\xff", "ü".encode()) == (database["a"], database["é".encode()])
        assert [b"a", "é".encode()] == list(database.keys())
        assert b"a" in database
        assert 1 not in database
        assert 2 == len(database)

    def test_it_is_a_mapping(self, opened):
        """With all that a mapping has."""
        database = opened()
        database.update({b"a": b"1", b"b": b"2"})

        assert (b"1", b"x") == (database.get(b"a"), database.get(b"c", b"x"))
        assert (b"1", b"3") == (database.setdefault(b"a", b"3"), database.setdefault(b"c", b"3"))
        assert b"2" == database.pop(b"b")
        assert {b"a": b"1", b"c": b"3"} == database
        database.clear()
        assert {} == database

    def test_missing_keys(self, opened):
        """KeyError, with the key as it was given."""
        with pytest.raises(KeyError, match="b'a'"):
            opened()[b"a"]
        with pytest.raises(KeyError, match="'a'"):
            del opened()["a"]

    def test_deleting(self, opened):
        """The key is gone."""
        database = opened()
        database[b"a"] = b"1"
        del database[b"a"]

        assert b"a" not in database

    @pytest.mark.parametrize("odd", [1, None, ("a",)])
    def test_what_is_neither_text_nor_bytes(self, opened, odd):
        """TypeError."""
        with pytest.raises(TypeError, match="bytes or str"):
            opened()[odd] = b""
        with pytest.raises(TypeError, match="bytes or str"):
            opened()[b"a"] = odd

    @pytest.mark.parametrize("odd", [b"", b"\x00", b"%41", b"\xff\xfe", "\x85é%".encode(), b"\xed\xa0\x80", b"a:b"])
    def test_any_key(self, opened, odd):
        """Is taken, and comes back as it was."""
        database = opened()
        database[odd] = b"1"

        assert [odd] == list(database)
        assert b"1" == database[odd]

    def test_keys_that_are_too_long(self, opened):
        """Are refused: a digest could not be listed."""
        with pytest.raises(KeyTooLongError):
            opened()[b"x" * 300] = b""

    def test_stored_as_base64(self, opened, store, key):
        """Under a key that people can make out."""
        opened()[b"50 %"] = b"value"

        assert "dmFsdWU=" == store.read(f"dbm:{key}:50 %25")

    @pytest.mark.parametrize("value", [1, "no base64", None])
    def test_what_others_put_there(self, opened, store, key, value):
        """An error that names the key."""
        store.put(f"dbm:{key}:a", value)
        with pytest.raises(InvalidValueError, match=f"dbm:{key}:a.* no base64"):
            opened()[b"a"]


@given(st.binary(max_size=40) | st.text(st.characters(exclude_categories=("Cs",)), max_size=20).map(str.encode))
def test_keys_come_back(key):
    """Whatever bytes they are, as text that kvd takes."""
    assert key == _unescaped(check_key("x" + _escaped(key))[1:])


class TestOpening:
    def test_to_read(self, opened):
        """Nothing can be changed, and the error is one of the standard library's."""
        opened()[b"a"] = b"1"
        database = opened("r")

        assert b"1" == database[b"a"]
        for change in (lambda: database.update(a=b"2"), lambda: database.pop("a"), database.clear):
            with pytest.raises(dbm.error, match="for reading only"):
                change()
        assert b"1" == database[b"a"]

    def test_to_write(self, opened):
        """What is there."""
        opened()[b"a"] = b"1"
        opened("w")[b"a"] = b"2"

        assert b"2" == opened()[b"a"]

    @pytest.mark.parametrize("flag", ["r", "w"])
    def test_what_is_not_there(self, opened, flag):
        """An error of the standard library's, that says what to do."""
        with pytest.raises(dbm.error, match=r"no database.*; flag 'c' or 'n' creates it"):
            opened(flag)

    def test_anew(self, opened, key):
        """It is empty, and others are not."""
        opened()[b"a"] = b"1"
        opened(name=f"{key}x")[b"a"] = b"1"

        assert {} == opened("n")
        assert 1 == len(opened(name=f"{key}x"))

    @pytest.mark.parametrize("flag", ["x", "", None])
    def test_other_flags(self, opened, flag):
        """ValueError."""
        with pytest.raises(ValueError, match="flag is"):
            opened(flag)

    @pytest.mark.parametrize("name", ["", "a:b", "a\n", None])
    def test_names_that_cannot_be(self, opened, name):
        """ValueError."""
        with pytest.raises(ValueError, match="database's name"):
            opened(name=name)


class TestShelf:
    def test_objects_come_back(self, opened):
        """Whatever can be pickled, from a shelf that is opened later."""
        with shelve.Shelf(opened()) as shelf:
            shelf["a"] = {"points": (3, 4), "tags": {"x"}}
            shelf["b"] = None
        shelf = shelve.Shelf(opened("r"))

        assert {"a": {"points": (3, 4), "tags": {"x"}}, "b": None} == dict(shelf)

    def test_changes_within(self, opened):
        """With writeback, when the shelf is closed or synced."""
        with shelve.Shelf(opened(), writeback=True) as shelf:
            shelf["a"] = []
            shelf["a"].append(1)
            shelf.sync()
            assert [1] == shelve.Shelf(opened())["a"]
            shelf["a"].append(2)

        assert [1, 2] == shelve.Shelf(opened())["a"]

    def test_two_at_once(self, opened):
        """What one writes the other sees."""
        one, other = shelve.Shelf(opened()), shelve.Shelf(opened())
        one["a"] = 1

        assert 1 == other["a"]
