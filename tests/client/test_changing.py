"""What put, update, pop, increment and expire do to a key and refuse, and reading as a type."""

import os
import pickle
from dataclasses import dataclass
from datetime import date

import pytest
from pydantic import BaseModel, field_validator

import kvd
from kvclient import (
    Entry,
    Event,
    InvalidTTLError,
    InvalidValueError,
    KeyExistsError,
    KeyNotFoundError,
    Owner,
    RequestError,
    RevisionMismatchError,
)


class TestPut:
    def test_creates_and_replaces(self, face, key):
        """Each time with the revision that it returns."""
        first = face.put(key, 1)
        second = face.put(key, [2])

        assert first < second
        assert Entry(key, [2], second) == face.entry(key)

    def test_clears_a_ttl_unless_it_is_told_to_keep_it(self, face, key):
        """Without either, the key never expires."""
        face.put(key, 1, ttl=500)
        expires_at = face.entry(key).expires_at

        face.put(key, 2, keep_ttl=True)
        assert expires_at == face.entry(key).expires_at
        face.put(key, 3)
        assert face.entry(key).expires_at is None

    def test_happens_only_at_the_revision_that_was_seen(self, face, key):
        """The second of two that saw the same is refused, and the message names both revisions."""
        seen = face.create(key, 1)
        found = face.put(key, 2, if_revision=seen)

        with pytest.raises(RevisionMismatchError) as caught:
            face.put(key, 3, if_revision=seen)

        assert (key,) == caught.value.keys
        assert {str(seen), str(found)} <= set(str(caught.value).replace(",", " ").replace(".", " ").split())
        assert 2 == face.read(key)

    def test_revision_0_means_that_the_key_does_not_exist(self, face, key):
        """So put creates only; with another revision an absent key is refused."""
        face.put(key, 1, if_revision=0)

        with pytest.raises(RevisionMismatchError):
            face.put(key, 2, if_revision=0)
        with pytest.raises(RevisionMismatchError):
            face.put(f"{key}a", 2, if_revision=7)
        assert not face.exists(f"{key}a")


class TestUpdate:
    def test_replaces_what_exists(self, face, key):
        """As put does."""
        face.create(key, 1, ttl=500)
        face.update(key, 2, keep_ttl=True)

        assert 2 == face.read(key)
        assert face.entry(key).expires_at is not None

    def test_refuses_what_does_not_exist(self, face, key):
        """KeyNotFoundError; with a revision RevisionMismatchError, as that is another than 'none'."""
        with pytest.raises(KeyNotFoundError):
            face.update(key, 1)
        with pytest.raises(RevisionMismatchError):
            face.update(key, 1, if_revision=3)
        assert not face.exists(key)


class TestPopAndDelete:
    def test_pop_returns_what_it_removes(self, face, key):
        """Once."""
        face.create(key, {"a": 1})

        assert {"a": 1} == face.pop(key)
        with pytest.raises(KeyNotFoundError):
            face.pop(key)

    @pytest.mark.parametrize("operation", ["pop", "delete"])
    def test_only_at_the_revision_that_was_seen(self, face, key, operation):
        """Else nothing is removed."""
        seen = face.create(key, 1)
        face.put(key, 2)

        with pytest.raises(RevisionMismatchError):
            getattr(face, operation)(key, if_revision=seen)
        assert 2 == face.read(key)
        getattr(face, operation)(key, if_revision=face.entry(key).revision)
        assert not face.exists(key)


class TestIncrement:
    def test_counts_from_an_initial_value(self, face, key):
        """An absent key gets `initial + by`; ints stay ints."""
        assert 1 == face.increment(key)
        assert 6 == face.increment(key, 5)
        assert 4 == face.increment(key, -2, initial=100)
        assert int is type(face.read(key))
        assert 10.5 == face.increment(f"{key}f", 0.5, initial=10)

    def test_keeps_a_ttl_and_gives_one_only_to_a_new_key(self, face, key):
        """So a counter of a minute ends when the minute does."""
        face.increment(key, ttl=500)
        expires_at = face.entry(key).expires_at

        face.increment(key, ttl=1000)
        assert None is not expires_at == face.entry(key).expires_at
        face.increment(f"{key}b")
        face.increment(f"{key}b", ttl=500)
        assert face.entry(f"{key}b").expires_at is None

    @pytest.mark.parametrize("value", ["1", True, None, [1], {}], ids=repr)
    def test_refuses_what_is_no_number(self, face, key, value):
        """InvalidValueError names the key, and the value stays."""
        face.create(key, value)

        with pytest.raises(InvalidValueError) as caught:
            face.increment(key)
        assert (key,) == caught.value.keys
        assert value == face.read(key)


class TestExpire:
    def test_gives_and_takes_a_ttl(self, face, key):
        """The value stays."""
        face.create(key, 1)

        revision = face.expire(key, 500)
        assert face.entry(key).expires_at is not None
        assert revision < face.persist(key)
        assert face.entry(key).expires_at is None
        face.expire(key, 500)
        face.expire(key, None)
        assert face.entry(key).expires_at is None
        assert 1 == face.read(key)

    def test_refuses_what_does_not_exist_and_what_is_no_ttl(self, face, key):
        """With the errors of all other operations."""
        with pytest.raises(KeyNotFoundError):
            face.expire(key, 5)
        with pytest.raises(KeyNotFoundError):
            face.persist(key)
        with pytest.raises(InvalidTTLError):
            face.expire(key, 0)


def test_exists_tells_of_a_key(face, key):
    """Before, while and after it is there."""
    assert not face.exists(key)
    face.create(key, None)
    assert face.exists(key)
    face.delete(key)
    assert not face.exists(key)


class Model(BaseModel):
    """Strict: from Python, a text would be no date for it."""

    model_config = {"strict": True}

    name: str
    day: date


@dataclass
class Point:
    x: int
    y: int


class TestReadAs:
    def test_makes_a_typed_object_of_the_value(self, face, key):
        """A pydantic model, a dataclass, a generic type."""
        face.create(f"{key}m", {"name": "a", "day": "2026-01-31"})
        face.create(f"{key}p", {"x": 1, "y": 2})
        face.create(f"{key}l", [1, 2])

        assert Model(name="a", day=date(2026, 1, 31)) == face.read(f"{key}m", as_=Model)
        assert Point(1, 2) == face.read(f"{key}p", as_=Point)
        assert [1, 2] == face.read(f"{key}l", as_=list[int])

    def test_refuses_a_value_that_does_not_fit(self, face, key):
        """InvalidValueError says which key, which type, and what does not fit, in one line."""
        face.create(key, {"name": 7, "day": "2026-01-31"})

        with pytest.raises(InvalidValueError, match=rf"^The value of key '{key}' is no Model: .*\['name'\]") as caught:
            face.read(key, as_=Model)
        assert "\n" not in str(caught.value)


class Broken(BaseModel):
    @field_validator("*", mode="before")
    @classmethod
    def fail(cls, _value):
        raise KeyError("missing")

    name: str


class TestTypes:
    """Objects go in by every method that takes a value, and come out by every one that returns some."""

    AN, POINT = Model(name="a", day=date(2026, 1, 31)), Point(1, 2)

    def test_go_in(self, face, key):
        """As the JSON that pydantic makes of them."""
        face.create(f"{key}1", self.AN)
        face.put(f"{key}2", [self.POINT])
        face.update(f"{key}2", {"at": self.POINT})
        face.batch_create({f"{key}3": self.POINT})
        face.batch([{"op": "put", "key": f"{key}4", "value": date(2026, 1, 31)}])

        assert {
            f"{key}1": {"name": "a", "day": "2026-01-31"},
            f"{key}2": {"at": {"x": 1, "y": 2}},
            f"{key}3": {"x": 1, "y": 2},
            f"{key}4": "2026-01-31",
        } == {entry.key: entry.value for entry in face.entries(key)}

    def test_come_out(self, face, key):
        """With all else that is told of a key."""
        face.batch_create({f"{key}a": self.POINT, f"{key}b": self.POINT})
        a, b = f"{key}a", f"{key}b"

        assert {a: self.POINT, b: self.POINT} == face.read_many([a, b, f"{key}c"], as_=Point)
        assert [(a, self.POINT), (b, self.POINT)] == [each[:2] for each in face.entries(key, as_=Point)]
        assert [None, None] == [each.value for each in face.entries(key, values=False, as_=Point)]
        assert Entry(a, self.POINT, face.entry(a).revision) == face.entry(a, as_=Point)
        assert self.POINT == face.pop(a, as_=Point)
        assert not face.exists(a)

    def test_that_do_not_fit_are_named_by_their_key(self, face, key):
        """Among many, too."""
        face.batch_create({f"{key}a": self.POINT, f"{key}b": 7})

        for call in (
            lambda: face.read_many([f"{key}a", f"{key}b"], as_=Point),
            lambda: list(face.entries(key, as_=Point)),
            lambda: face.entry(f"{key}b", as_=Point),
        ):
            with pytest.raises(InvalidValueError, match=rf"^The value of key '{key}b' is no Point: "):
                call()

    def test_that_do_not_fit_are_popped_and_told(self, face, key):
        """What was removed is in the message."""
        face.put(key, [1, "é"])
        with pytest.raises(
            InvalidValueError, match=r"is no Point: .* The key was removed; its value was: \[1, \""
        ) as caught:
            face.pop(key, as_=Point)

        assert (key,) == caught.value.keys
        assert not face.exists(key)

    def test_a_validator_that_fails_is_told(self, face, key):
        """Whatever it raises, it is not taken for a daemon that talks nonsense."""
        face.put(key, {"name": "a"})

        with pytest.raises(InvalidValueError, match=rf"^The value of key '{key}' is no Broken: KeyError: 'missing'\.$"):
            face.read(key, as_=Broken)


@pytest.mark.parametrize(
    "record", [Owner(1, 2), Entry("a", [1], 3, 4.5, Owner(1, 2)), Event("created", "a", 1, None, 3, 4.5)]
)
def test_records_cannot_be_changed_but_pickled(record):
    """They tell what was; the packages have the same."""
    assert record == pickle.loads(pickle.dumps(record))
    assert getattr(kvd, type(record).__name__) is type(record)
    for name in (*record._fields, "other"):
        with pytest.raises(AttributeError):
            setattr(record, name, 1)


def test_an_ephemeral_key_tells_its_owner(store, key):
    """The process that created it, or that was named."""
    store.create(key, 1, ephemeral=True)
    store.put(f"{key}b", 1, ephemeral=os.getpid())

    assert Owner(os.getpid(), os.getuid()) == store.entry(key).owner == store.entry(f"{key}b").owner


def test_what_is_no_argument_is_refused(face, key):
    """Before anything is changed."""
    for call in (
        lambda: face.put(key, 1, if_revision=-1),
        lambda: face.put(key, 1, keep_ttl="yes"),
        lambda: face.delete(key, if_revision=1.5),
        lambda: next(face.list(limit=-1)),
    ):
        with pytest.raises(RequestError):
            call()
    with pytest.raises(InvalidValueError):
        face.put(key, 1, ephemeral="me")
    assert not face.exists(key)
    face.create(key, 1)
    with pytest.raises(KeyExistsError):
        face.create(key, 1)
