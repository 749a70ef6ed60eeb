"""A mapping: a dict that processes share. What a dict does it does, and what several do at once it does whole."""

import asyncio
import pickle
import threading
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvclient import (
    AsyncClient,
    BatchTooLargeError,
    Client,
    DataStoreError,
    Entry,
    InvalidValueError,
    KeyExistsError,
    KeyNotFoundError,
)
from kvclient.contract import calls
from kvclient.contract.results import Page
from kvclient.recipes.async_mapping import AsyncMapping
from kvclient.recipes.mapping import StoreMapping, popitem, setdefault
from kvd import LocalDataStore


@pytest.fixture
def config(face, key):
    return face.mapping(f"{key}:")


class TestOneKey:
    def test_is_a_key_of_the_store_behind_the_prefix(self, face, config, key):
        """What one writes the other reads."""
        config["a"] = {"x": [1]}
        face.put(f"{key}:b", 2)

        assert {"x": [1]} == face.read(f"{key}:a") == config["a"]
        assert 2 == config["b"] == config.get("b")
        assert "a" in config
        del config["a"]
        assert not face.exists(f"{key}:a")

    def test_that_is_not_there(self, config):
        """KeyError, a default, or nothing, as with a dict."""
        for call in (lambda: config["a"], lambda: config.pop("a"), lambda: config.__delitem__("a"), config.popitem):
            with pytest.raises(KeyError):
                call()
        assert None is config.get("a")
        assert (7, None) == (config.pop("a", 7), config.pop("a", None))
        assert "a" not in config

    @pytest.mark.parametrize("name", [5, "", "a\n", None, "x" * 300])
    def test_that_cannot_be_one_is_not_in_it(self, config, name):
        """Whoever sets or reads it is told why."""
        assert name not in config
        with pytest.raises(DataStoreError):
            config[name] = 1
        with pytest.raises(DataStoreError):
            config[name]

    def test_setting_it_takes_its_ttl_away(self, face, config, key):
        """As put does."""
        face.put(f"{key}:a", 1, ttl=500)
        config["a"] = 2

        assert None is face.entry(f"{key}:a").expires_at

    def test_what_was_read_is_a_copy(self, config):
        """A change of it changes nothing in the store, until it is set again."""
        config["a"] = [1]
        config["a"].append(2)
        assert [1] == config["a"]
        config["a"] += [2]
        assert [1, 2] == config["a"]

    def test_setdefault_stores_what_is_missing_only(self, config):
        """And returns what is stored, as it will be read."""
        assert [1, 2] == config.setdefault("a", (1, 2)) == config["a"]
        assert [1, 2] == config.setdefault("a", 5)
        assert None is config.setdefault("b")
        assert None is config["b"]

    def test_popitem_takes_the_first_in_order(self, config):
        """One after the other, until there is none."""
        config.update(b=2, a=1)

        assert [("a", 1), ("b", 2)] == [config.popitem(), config.popitem()]
        with pytest.raises(KeyNotFoundError, match="empty"):
            config.popitem()


class TestAllKeys:
    def test_iteration_goes_through_pages_in_order(self, config):
        """Without the prefix, each once."""
        names = [f"{number:04}" for number in range(2100)]
        config.update(dict.fromkeys(names, 1))

        assert names == list(config) == list(config.keys()) == [name for name, _ in config.items()]
        assert 2100 == len(config) == len(config.items()) == sum(config.values())

    def test_reading_all_takes_a_request_a_page(self, directory):
        """Not one for each key."""
        asked = []

        class Counting(LocalDataStore):
            def _call(self, call):
                asked.append(call)
                return super()._call(call)

        with Counting(directory / "local.json", sync="never") as store:
            config = store.mapping("a")
            config.update({str(number): number for number in range(1500)})
            asked.clear()
            for read in (config.items, config.values, config.keys, config.copy):
                list(read())
            assert config == config.copy()
            _ = config | {}

            assert 7 * 4 >= len(asked)  # pages and, for list(), how many there are

    def test_views_are_live(self, config):
        """They show what is there when they are looked at."""
        keys, values, items = config.keys(), config.values(), config.items()
        assert (0, [], []) == (len(keys), list(values), list(items))
        config["a"] = 1

        assert ["a"] == list(keys)
        assert ("a" in keys, 1 in values, 2 in values) == (True, True, False)
        assert (("a", 1) in items, ("a", 2) in items, ("b", 1) in items) == (True, False, False)
        assert {"a"} == keys & {"a", "b"} == keys - {"b"}
        assert {("a", 1), ("b", 2)} == items | {("b", 2)}

    def test_update_takes_what_a_dict_takes(self, config):
        """A mapping, pairs, names; each alone, and together."""
        config.update({"a": 1, "self": 2})
        config.update([("b", 3), ("a", 4)], c=5)
        config.update(other=6)
        config.update()
        assert {"a": 4, "self": 2, "b": 3, "c": 5, "other": 6} == config

    def test_update_is_one_batch(self, config):
        """All of it or nothing."""
        with pytest.raises(InvalidValueError, match="'b'"):
            config.update({"a": 1, "b": {1, 2}})
        with pytest.raises(BatchTooLargeError):
            config.update({str(number): number for number in range(10_001)})

        assert 0 == len(config)
        assert not config

    def test_merging_makes_a_dict(self, config):
        """What is on the right wins; in place it is an update."""
        config.update(a=1, b=2)

        assert {"a": 1, "b": 3, "c": 4} == config | {"b": 3, "c": 4}
        assert {"a": 1, "b": 2, "c": 4} == {"b": 3, "c": 4} | config
        assert type(config | {}) is type({} | config) is dict
        same = config
        config |= {"c": 4}
        config |= [("d", 5)]
        assert same is config
        assert {"a": 1, "b": 2, "c": 4, "d": 5} == config.copy()
        for merge in (lambda: config | [("a", 1)], lambda: 5 | config):
            with pytest.raises(TypeError):
                merge()

    def test_it_equals_what_has_the_same_items(self, face, config, key):
        """A dict, another mapping; nothing else."""
        config["a"] = [1]
        other = face.mapping(f"{key}other:")
        other["a"] = [1]

        assert config == {"a": [1]}
        assert config == other
        assert config != {"a": [2]}
        assert config != [("a", [1])]

    def test_clear_leaves_other_keys(self, face, config, key):
        """Those without the prefix."""
        face.put(f"{key}x", 1)
        config.update(a=1, b=2)
        config.clear()

        assert {} == config.copy()
        assert face.exists(f"{key}x")

    def test_repr_reads_nothing(self, face, config, key, monkeypatch):
        """However many keys there are."""
        monkeypatch.setattr(type(face), "_call", None)

        assert f"<StoreMapping on <Namespace '{key}:' of {face!r}>>" == repr(config)

    def test_without_a_prefix_it_is_the_whole_store(self, directory):
        """Every key of it."""
        with LocalDataStore(directory / "local.json", sync="never") as store:
            store.put("a:b", 1)

            assert {"a:b": 1} == store.mapping()


names = st.sampled_from(["a", "b", "c", "dd"])
values = st.none() | st.integers() | st.lists(st.booleans(), max_size=2)
actions = st.one_of(
    st.tuples(st.just("__setitem__"), names, values),
    st.tuples(st.sampled_from(["__delitem__", "__getitem__", "__contains__", "get", "pop"]), names),
    st.tuples(st.sampled_from(["get", "pop", "setdefault"]), names, values),
    st.tuples(st.just("update"), st.dictionaries(names, values)),
    st.tuples(st.sampled_from(["clear", "copy", "__len__"])),
)


@settings(max_examples=60)
@given(done=st.lists(actions, max_size=20))
def test_it_does_what_a_dict_does(done, memory):
    """With random operations: each returns or raises the same."""
    with LocalDataStore(memory / "local.json", sync="never") as store:
        store.clear()
        mapping, model = store.mapping("m:"), {}
        for name, *arguments in done:
            assert outcome(model, name, arguments) == outcome(mapping, name, arguments)

        assert sorted(model.items()) == list(mapping.items())
        assert isinstance(mapping, MutableMapping)


def outcome(mapping, name, arguments):
    try:
        return getattr(mapping, name)(*arguments)
    except KeyError:
        return KeyError


class TestAtOnce:
    def test_setdefault_gives_everybody_the_same_value(self, shared_daemon, key):
        """Whoever comes first."""
        with Client(shared_daemon.endpoint) as store:
            mapping, got, start = store.mapping(f"{key}:"), [], threading.Barrier(8)

            def ask(number):
                start.wait()
                got.append(mapping.setdefault("a", number))

            in_threads(ask)

            assert 8 == len(got)
            assert {mapping["a"]} == set(got)

    def test_popitem_gives_each_item_once(self, shared_daemon, key):
        """However many take."""
        with Client(shared_daemon.endpoint) as store:
            mapping, got, start = store.mapping(f"{key}:"), [], threading.Barrier(8)
            mapping.update({str(number): number for number in range(100)})

            def take(_):
                start.wait()
                while True:
                    try:
                        got.append(mapping.popitem()[1])
                    except KeyError:
                        return

            in_threads(take)

            assert list(range(100)) == sorted(got)


def test_what_somebody_else_was_faster_with_is_not_missed():
    """The next one is taken; and of a key that is gone before it could be read, the default is stored once more."""
    steps = popitem(None)
    next(steps)
    steps.send(Page([Entry("a", None, 1)], more=True))
    again = steps.throw(KeyNotFoundError("gone"))
    assert calls.page(limit=1).request == again.request
    steps.send(Page([Entry("b", None, 2)], more=False))
    with pytest.raises(StopIteration) as end:
        steps.send("value")
    assert ("b", "value") == end.value.value

    steps = setdefault("a", 1, None)
    read = next(steps)
    steps.throw(KeyNotFoundError("not there yet"))
    steps.throw(KeyExistsError("somebody was faster"))
    create = steps.throw(KeyNotFoundError("and deleted it"))
    assert [calls.read("a").request, calls.create("a", 1).request] == [read.request, create.request]


def in_threads(work):
    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


@dataclass
class User:
    name: str
    born: date


def test_values_of_a_type(face, key):
    """They are that type's wherever they come out."""
    users = face.mapping(f"{key}:", as_=User)
    ada = User("Ada", date(1815, 12, 10))
    users["a"] = ada
    users.update(b=ada)

    assert ada == users["a"] == users.get("b") == users.setdefault("a", None) == users.setdefault("c", ada)
    assert [ada] * 3 == list(users.values())
    assert {"a": ada, "b": ada, "c": ada} == users | {}
    assert (("a", ada), ada) == (users.popitem(), users.pop("b"))
    assert {"name": "Ada", "born": "1815-12-10"} == face.read(f"{key}:c")


def test_it_can_be_pickled(shared_daemon, key):
    """With its client."""
    with Client(shared_daemon.endpoint) as store:
        users = pickle.loads(pickle.dumps(store.mapping(f"{key}:", as_=User)))
        users["a"] = User("Ada", date(1815, 12, 10))

        assert "Ada" == store.mapping(f"{key}:", as_=User)["a"].name


def test_for_asyncio(shared_daemon, key):
    """What can be awaited of it."""

    async def use():
        async with AsyncClient(shared_daemon.endpoint) as store:
            config = pickle.loads(pickle.dumps(store.mapping(f"{key}:")))
            await config.set("a", [1])
            await config.update([("b", 2)], c=3)
            assert [1] == await config.get("a") == await store.read(f"{key}:a")
            assert (None, 7) == (await config.get("x"), await config.get("x", 7))
            assert (True, False, False) == (
                await config.contains("a"),
                await config.contains("x"),
                await config.contains(5),
            )
            assert ["a", "b", "c"] == [name async for name in config] == [name async for name in config.keys()]  # noqa: SIM118  # no dict
            assert [[1], 2, 3] == [value async for value in config.values()]
            assert {"a": [1], "b": 2, "c": 3} == await config.copy() == {k: v async for k, v in config.items()}
            assert 3 == await config.count()
            assert (2, 9) == (await config.pop("b"), await config.pop("b", 9))
            await config.delete("c")
            for gone in (config.pop("x"), config.delete("x")):
                with pytest.raises(KeyNotFoundError):
                    await gone
            assert [5, 5] == await asyncio.gather(config.setdefault("s", 5), config.setdefault("s", 5))
            assert ("a", [1]) == await config.popitem()
            await config.clear()
            with pytest.raises(KeyNotFoundError, match="empty"):
                await config.popitem()
            users = store.mapping(f"{key}:", as_=User)
            await users.set("a", User("Ada", date(1815, 12, 10)))
            assert "Ada" == (await users.get("a")).name

    asyncio.run(use())


def test_the_one_for_asyncio_has_the_same_methods():
    """And beside them one for each thing that syntax does with a dict."""
    public = [{name for name in dir(kind) if not name.startswith("_")} for kind in (StoreMapping, AsyncMapping)]

    assert {"set", "delete", "contains", "count"} == public[1] - public[0]
    assert public[0] < public[1]
