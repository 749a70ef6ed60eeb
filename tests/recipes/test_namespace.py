"""A namespace: a store of the same methods, whose keys are named without what they all begin with."""

import asyncio
import inspect
import pickle
from datetime import date

import pytest

from kvclient import (
    AsyncClient,
    Client,
    DataStoreError,
    Entry,
    InvalidKeyError,
    KeyExistsError,
    KeyNotFoundError,
    KeyTooLongError,
    RevisionMismatchError,
)
from kvclient.recipes.namespace import AsyncNamespace, Namespace
from kvd import LocalDataStore


@pytest.fixture
def app(face, key):
    return face.prefix(f"{key}:")


class TestOneKey:
    def test_is_the_one_with_the_prefix(self, face, app, key):
        """What one writes the other reads, both ways."""
        app.create("a", 1)
        face.create(f"{key}:b", 2)

        assert 1 == face.read(f"{key}:a")
        assert 2 == app.read("b")
        assert Entry("b", 2, app.entry("b").revision) == app.entry("b")

    def test_has_all_operations(self, face, app, key):
        """Each does to the key under the prefix what it does to a key, and leaves the one without it alone."""
        for name in ("n", "a"):
            face.put(name, "untouched")
        app.put("a", [1], ttl=500)
        revision = app.update("a", [2], keep_ttl=True)
        assert revision == app.entry("a").revision == face.entry(f"{key}:a").revision
        app.persist("a")
        app.expire("a", 400)
        assert app.entry("a").expires_at is not None
        assert 5 == app.increment("n", 2, initial=3)
        assert 5 == face.read(f"{key}:n")
        assert app.exists("n")
        assert 5 == app.pop("n")
        app.delete("a")

        assert [] == list(face.list(f"{key}:"))
        assert "untouched" == face.read("n") == face.read("a")
        face.delete_many(["n", "a"])

    def test_is_refused_by_its_name_in_it(self, app):
        """In the message and in the error's keys."""
        app.put("a", 1)
        for error, call in (
            (KeyNotFoundError, lambda: app.read("gone")),
            (KeyExistsError, lambda: app.create("a", 1)),
            (RevisionMismatchError, lambda: app.put("a", 1, if_revision=10**9)),
            (KeyExistsError, lambda: app.batch_create({"a": 1, "b": 1})),
            (
                KeyNotFoundError,
                lambda: app.batch([{"op": "put", "key": "b", "value": 1}, {"op": "pop", "key": "gone"}]),
            ),
        ):
            with pytest.raises(DataStoreError) as caught:
                call()

            (name,) = caught.value.keys
            assert error is type(caught.value)
            assert name in ("a", "gone")
            assert f"Key '{name}'" in str(caught.value)

    def test_that_is_too_long_with_its_prefix_is_named_in_full(self, face):
        """Otherwise nobody would see why it is too long."""
        with pytest.raises(KeyTooLongError) as caught:
            face.prefix("p" * 200).put("k" * 100, 1)

        assert ("p" * 200 + "k" * 100,) == caught.value.keys


class TestManyKeys:
    def test_are_listed_without_the_prefix(self, face, app, key):
        """Keys of others are not among them, in whatever way they begin."""
        face.batch_create({f"{key}": 0, f"{key}x": 0, f"{key}:b": 2, f"{key}:a": 1})

        assert ["a", "b"] == list(app.list())
        assert ["b"] == list(app.list(after="a"))
        assert ["a"] == list(app.list(limit=1))
        assert [("a", 1), ("b", 2)] == [(entry.key, entry.value) for entry in app.entries()]
        assert {"b": 2} == app.read_many(["b", "c"])
        assert (2, 1) == (app.count(), app.count("a"))

    def test_are_changed_without_the_prefix(self, face, app, key):
        """All at once, in batches, deletes and clears."""
        app.batch_create({"a": 1, "b": 2, "c": 3})
        app.batch([{"op": "put", "key": "d", "value": 4}, {"op": "delete", "key": "c"}])
        assert ["a"] == app.delete_many(["a", "x"])
        face.put(f"{key}x", 1)

        assert [f"{key}:b", f"{key}:d", f"{key}x"] == list(face.list(key))
        assert 2 == app.clear()
        assert [f"{key}x"] == list(face.list(key))

    def test_on_several_pages(self, app):
        """Each once."""
        names = [f"{number:04}" for number in range(1500)]
        app.batch_create(dict.fromkeys(names, 1))

        assert names == list(app.list())
        assert names[999:] == list(app.list(after=names[998]))

    def test_the_key_that_is_the_prefix_has_no_name_in_it(self, face, key):
        """It is neither listed nor counted, nor are its changes told."""
        app = face.prefix(key)
        with app.watch() as events:
            face.put(key, 0)
            app.put("a", 1)
            told = [events.within(30).key]

        assert ["a"] == told == list(app.list()) == [entry.key for entry in app.entries()]
        assert 1 == app.count()
        app.delete("a")
        assert 0 == app.count()
        with pytest.raises(InvalidKeyError):
            app.read("")


def test_events_are_told_without_the_prefix(face, app, key):
    """Those of its keys, whoever changed them."""
    with app.watch() as events:
        face.put(f"{key}x", 0)
        face.put(f"{key}:a", 1)
        app.put("b", 2)
        told = [events.within(30), events.within(30)]
        after = told[0].revision

    assert [("created", "a", 1), ("created", "b", 2)] == [(event.kind, event.key, event.value) for event in told]
    with app.watch("b", after=after) as events:
        assert "b" == events.within(30).key


def test_namespaces_nest(face, app, key):
    """Each prefix behind the one before it; an empty one adds nothing."""
    inner = app.prefix("x:").prefix("")
    inner.put("a", 1)

    assert 1 == face.read(f"{key}:x:a") == app.read("x:a") == face.prefix(f"{key}:x").read(":a")
    assert ["x:a"] == list(app.list())
    assert f"<Namespace '{key}:x:' of {face!r}>" == repr(inner)


def test_without_a_prefix_it_is_the_store(face, key):
    """With every key."""
    everything = face.prefix("")
    everything.put(key, 1)

    assert 1 == face.read(key)
    assert face.count() == everything.count()
    assert list(face.list()) == list(everything.list())


@pytest.mark.parametrize("prefix", ["a\n", "\ud800", None, 5, b"a"])
def test_what_no_key_can_begin_with_is_no_prefix(face, prefix):
    """It is refused at once, not with the first key."""
    for store in (face, face.prefix("a")):
        with pytest.raises(InvalidKeyError):
            store.prefix(prefix)


def test_types_go_in_and_come_out(app):
    """As in the store."""
    app.put("day", date(2026, 1, 31))

    assert {"day": date(2026, 1, 31)} == app.read_many(["day"], as_=date)
    assert [date(2026, 1, 31)] == [entry.value for entry in app.entries(as_=date)]


def test_recipes_are_there_under_the_prefix(face, app, key):
    """A lock of one namespace is no other one's, and its tickets are keys of the namespace."""
    with app.lock("nightly"):
        assert not app.lock("nightly").acquire(0)
        assert face.lock("nightly").acquire(0)
        (ticket,) = app.list()
        assert ticket.startswith("lock:nightly#")
        assert face.exists(f"{key}:{ticket}")
    assert 0 == app.count()


def test_it_speaks_of_the_whole_store(face, app):
    """Where a method is not about keys."""
    assert face.status()["file"] == app.status()["file"]
    assert app.stats()["keys"] >= 0
    assert None is app.ping() is app.compact()


def test_it_can_be_pickled(shared_daemon, key):
    """As its client can."""
    with Client(shared_daemon.endpoint, timeout=7) as store:
        app = store.prefix(f"{key}:").prefix("x:")
        app.put("a", 1)
        other = pickle.loads(pickle.dumps(app))

        assert 1 == other.read("a")
        assert repr(app) == repr(other)


def test_a_local_store_says_why_it_cannot_be_pickled(directory):
    """And what to use instead."""
    with LocalDataStore(directory / "local.json") as store, pytest.raises(TypeError, match="Use Client"):
        pickle.dumps(store.prefix("a"))


def test_for_asyncio(shared_daemon, key):
    """The same, awaited: keys, lists, events, errors, nesting, pickling."""

    async def use():
        async with AsyncClient(shared_daemon.endpoint) as store:
            app = pickle.loads(pickle.dumps(store.prefix(f"{key}:").prefix("x:")))
            async with await app.watch() as events:
                await app.put("a", 1)
                assert "a" == (await anext(events)).key
            assert 1 == await store.read(f"{key}:x:a") == await app.read("a")
            assert ["a"] == [name async for name in app.list()]
            await store.put(f"{key}:x:", 1)
            assert 1 == await app.count()
            with pytest.raises(KeyNotFoundError, match=r"^Key 'gone' does not"):
                await app.read("gone")
            assert repr(app).startswith(f"<AsyncNamespace '{key}:x:' of AsyncClient(")

    asyncio.run(use())


@pytest.mark.parametrize(("store", "namespace"), [(Client, Namespace), (AsyncClient, AsyncNamespace)])
def test_it_lacks_only_what_is_the_client_s(store, namespace):
    """The daemon is ended, and connections are closed, where they were opened."""
    lacking = {name for name in dir(store) if not name.startswith("_")} - set(dir(namespace))

    assert {"close", "stop", "endpoint", "timeout"} == lacking
    assert inspect.getdoc(namespace)
