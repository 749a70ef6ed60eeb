"""What is done with many keys: list, entries, count, read_many, delete_many, batch, clear."""

import pytest

from kvclient import Entry, InvalidKeyError, KeyExistsError, KeyNotFoundError, RequestError
from kvclient.contract.listing import PAGE_ENTRIES


class TestList:
    def test_is_in_the_order_of_code_points(self, face, key):
        """As Python sorts strings."""
        names = [f"{key}{end}" for end in ("", "a", "Z", "é", "\uffff", "😀", "a b", "0")]
        face.batch_create(dict.fromkeys(names, 1))

        assert sorted(names) == list(face.list(key))
        assert len(names) == face.count(key)

    def test_goes_through_all_pages(self, face, key):
        """More keys than a page has, each once."""
        names = [f"{key}{number:05}" for number in range(2 * PAGE_ENTRIES + 1)]
        for some in _batched(names, 500):
            face.batch_create(dict.fromkeys(some, 1))

        assert names == list(face.list(key))
        assert names[: PAGE_ENTRIES + 5] == list(face.list(key, limit=PAGE_ENTRIES + 5))
        assert names[7:] == list(face.list(key, after=names[6]))
        assert names[7:9] == [entry.key for entry in face.entries(key, after=names[6], limit=2)]

    def test_of_nothing_is_empty(self, face, key):
        """No prefix fits, nothing is behind, or nothing is wanted."""
        face.create(key, 1)

        assert [] == list(face.list(f"{key}x"))
        assert [] == list(face.list(key, after=key))
        assert [] == list(face.list(key, limit=0))
        assert 0 == face.count(f"{key}x")

    def test_entries_tell_all_that_is_known(self, face, key):
        """With values, or without."""
        first = face.create(f"{key}a", [1])
        second = face.create(f"{key}b", None, ttl=500)

        a, b = face.entries(key)
        assert Entry(f"{key}a", [1], first) == a
        assert (None, second) == (b.value, b.revision)
        assert b.expires_at is not None
        assert [None, None] == [entry.value for entry in face.entries(key, values=False)]

    def test_a_key_that_stays_appears_once_while_others_come_and_go(self, face, key):
        """Also on the seam of two pages."""
        names = [f"{key}{number:05}" for number in range(PAGE_ENTRIES + 2)]
        for some in _batched(names, 500):
            face.batch_create(dict.fromkeys(some, 1))

        listed = face.list(key)
        seen = [next(listed) for _ in range(PAGE_ENTRIES)]
        face.delete(names[PAGE_ENTRIES - 1])
        face.create(f"{names[0]}a", 1)
        seen += listed

        assert names == seen

    def test_refuses_at_the_call_what_is_no_prefix(self, face):
        """Not only when the first key is asked for."""
        with pytest.raises(InvalidKeyError):
            face.list(b"key")
        with pytest.raises(InvalidKeyError):
            face.entries(after=3)


def _batched(names, size):
    return [names[start : start + size] for start in range(0, len(names), size)]


def test_read_many_returns_those_that_exist(face, key):
    """By key, whatever is asked for twice."""
    face.batch_create({f"{key}a": 1, f"{key}b": None})

    assert {f"{key}a": 1, f"{key}b": None} == face.read_many([f"{key}a", f"{key}x", f"{key}b", f"{key}a"])
    assert {} == face.read_many([])
    assert {f"{key}a": 1} == face.read_many(name for name in [f"{key}a"])


def test_delete_many_tells_which_there_were(face, key):
    """Whatever else was asked for."""
    face.batch_create({f"{key}a": 1, f"{key}b": 2, f"{key}c": 3})

    assert [f"{key}a", f"{key}b"] == sorted(face.delete_many([f"{key}b", f"{key}x", f"{key}a"]))
    assert [f"{key}c"] == list(face.list(key))
    before = face.put(f"{key}d", 1)
    assert [] == face.delete_many([f"{key}a"]) == face.delete_many([])
    assert before + 1 == face.put(f"{key}d", 2)


@pytest.mark.parametrize("operation", ["read_many", "delete_many"])
def test_several_keys_are_no_single_string(face, key, operation):
    """Which would be taken for its characters."""
    with pytest.raises(InvalidKeyError, match="Several keys are a list"):
        getattr(face, operation)(key)


def test_clear_removes_what_begins_so(face, key):
    """And tells how many there were."""
    face.batch_create({f"{key}a": 1, f"{key}b": 2, f"y{key}": 3})

    assert 2 == face.clear(key)
    assert 0 == face.count(key) == face.clear(key)
    assert 3 == face.read(f"y{key}")


class TestBatch:
    def test_each_operation_sees_those_before_it(self, face, key):
        """With a result each, and revisions that rise."""
        before = face.create(key, 1)

        results = face.batch(
            [
                {"op": "increment", "key": key, "by": 4},
                {"op": "create", "key": f"{key}b", "value": [1], "ttl": 500},
                {"op": "update", "key": f"{key}b", "value": [2], "keep_ttl": True},
                {"op": "pop", "key": f"{key}b"},
                {"op": "put", "key": f"{key}c", "value": 3},
                {"op": "expire", "key": f"{key}c", "ttl": None},
                {"op": "delete", "key": key},
            ]
        )

        assert [5, None, None, [2], None, None, None] == [result.get("value") for result in results]
        revisions = [before, *(result["revision"] for result in results)]
        assert sorted(set(revisions)) == revisions
        assert {f"{key}c": 3} == {entry.key: entry.value for entry in face.entries(key)}

    def test_the_first_that_is_refused_refuses_all(self, face, key):
        """Its error says which it is."""
        face.create(key, 1)

        with pytest.raises(KeyExistsError) as caught:
            face.batch(
                [
                    {"op": "put", "key": f"{key}b", "value": 1},
                    {"op": "create", "key": key, "value": 2},
                    {"op": "delete", "key": f"{key}x"},
                ]
            )

        assert (1, (key,)) == (caught.value.index, caught.value.keys)
        assert [key] == list(face.list(key))
        with pytest.raises(KeyNotFoundError) as caught:
            face.batch([{"op": "pop", "key": f"{key}x"}])
        assert 0 == caught.value.index

    def test_of_nothing_changes_nothing(self, face, key):
        """And returns no results."""
        before = face.create(key, 1)

        assert [] == face.batch([])
        assert before + 1 == face.put(key, 2)

    def test_refuses_what_is_no_operation(self, face):
        """RequestError with the index."""
        with pytest.raises(RequestError, match="put needs the field 'value'") as caught:
            face.batch([{"op": "put", "key": "a"}])
        assert 0 == caught.value.index
