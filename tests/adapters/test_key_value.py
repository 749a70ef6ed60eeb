"""py-key-value's interface: what its protocols say of every store, and what ours says of this one."""

import asyncio
import inspect

import pytest

from kvclient import AsyncClient
from processes import wait_until

pytest.importorskip("key_value", reason="py-key-value-aio is not installed")

from key_value.aio.errors import InvalidTTLError, KeyValueOperationError, SerializationError, StoreConnectionError
from key_value.aio.errors.store import KeyValueStoreError
from key_value.aio.protocols import key_value as protocols

from kvclient.adapters.key_value import KvdStore


@pytest.fixture
def make(endpoint, key):
    """Make stores of one prefix, unless they are given another."""

    def make(at=endpoint, **options):
        return KvdStore(at, **{"prefix": f"{key}:", "timeout": 30, **options})

    return make


@pytest.fixture
def used(make):
    """Have a store used by a coroutine function, in an event loop of its own, and return what it returned."""

    def used(use, **options):
        async def run():
            async with make(**options) as store:
                return await use(store)

        return asyncio.run(run())

    return used


class TestEntries:
    def test_put_get_delete(self, used):
        """What is not there is None; delete says if there was something."""

        async def use(store):
            await store.put("a", {"b": [1, None]}, collection="c")
            told = [await store.get("a", collection="c"), await store.get("a"), await store.get("x", collection="c")]
            return [*told, await store.delete("a", collection="c"), await store.delete("a", collection="c")]

        assert [{"b": [1, None]}, None, None, True, False] == used(use)

    def test_many(self, used):
        """In the order that was asked for, and what is not there in its place."""

        async def use(store):
            await store.put_many(["a", "b"], [{"n": 1}, {"n": 2}])
            got = await store.get_many(["b", "x", "a"])
            return got, await store.delete_many(["a", "x", "b"]), await store.get_many(["a", "b"])

        assert ([{"n": 2}, None, {"n": 1}], 2, [None, None]) == used(use)

    def test_none(self, used):
        """No keys are no error."""

        async def use(store):
            await store.put_many([], [])
            return await store.get_many([]), await store.delete_many([])

        assert ([], 0) == used(use)

    def test_put_many_is_atomic(self, used):
        """What is wrong with one entry keeps all out."""

        async def use(store):
            with pytest.raises(SerializationError):
                await store.put_many(["a", "b"], [{"n": 1}, {"n": {1, 2}}])
            return await store.get("a")

        assert None is used(use)

    def test_ttl(self, used, store, key):
        """It is told, and the entry is gone for everybody at its end."""

        async def use(mine):
            await mine.put("a", {"n": 1}, ttl=1000)
            await mine.put("b", {"n": 2})
            await mine.put_many(["c"], [{"n": 3}], ttl=0.05)
            return await mine.ttl("a"), await mine.ttl("b"), await mine.ttl("x"), await mine.ttl_many(["a", "x"])

        (value, left), forever, missing, many = used(use)
        assert {"n": 1} == value
        assert 900 < left <= 1000
        assert ({"n": 2}, None) == forever
        assert (None, None) == missing == many[1]
        assert {"n": 1} == many[0][0]
        assert store.entry(f"{key}:default_collection:a").expires_at is not None
        wait_until(lambda: not store.exists(f"{key}:default_collection:c"))

    def test_ttl_that_cannot_be(self, used):
        """Is refused, as by every store."""

        async def use(store):
            with pytest.raises(InvalidTTLError):
                await store.put("a", {"n": 1}, ttl=0)

        used(use)

    def test_stored_as_json(self, used, store, key):
        """Under a key that people can make out."""
        used(lambda mine: mine.put("a", {"n": 1}, collection="tasks"))

        stored = store.read(f"{key}:tasks:a")
        assert ({"n": 1}, "a", "tasks") == (stored["value"], stored["key"], stored["collection"])

    def test_two_processes_see_the_same(self, used):
        """A second store gets what the first one put."""
        used(lambda store: store.put("a", {"n": 1}))

        assert {"n": 1} == used(lambda store: store.get("a"))


NAMES = ["a", "b c", "tab\t", "%3A", ":", "a:b", "x" * 300, "\x7f" * 200, "é", "", "a#" + "0" * 64]


class TestNames:
    def test_any_key(self, used):
        """Is taken, and listed as it was given."""

        async def use(store):
            await store.put_many(NAMES, [{"name": name} for name in NAMES], collection="c")
            got = await store.get_many(NAMES, collection="c")
            return got, await store.keys("c"), await store.keys("c", limit=3), await store.keys("other")

        got, keys, some, none = used(use)
        assert [{"name": name} for name in NAMES] == got
        assert sorted(NAMES) == sorted(keys)
        assert (3, []) == (len(some), none)
        assert set(some) < set(keys)

    def test_any_collection(self, used):
        """Is one of its own, and listed as it was given."""
        names = [name for name in NAMES if name]  # "" is the default collection

        async def use(store):
            for name in names:
                await store.put("k", {"name": name}, collection=name)
                await store.put("x" * 300, {"name": name}, collection=name)
            got = [await store.get("k", collection=name) for name in names]
            return got, await store.collections(), await store.collections(limit=2)

        got, collections, some = used(use)
        assert [{"name": name} for name in names] == got
        assert sorted(names) == sorted(collections)
        assert 2 == len(some)

    def test_destroying_a_collection(self, used):
        """Removes it, and none that begins alike; it says if there was something."""

        async def use(store):
            for name in ("a", "ab", "a:b", "x" * 300):
                await store.put_many(["k", "y" * 300], [{"n": 1}] * 2, collection=name)
            gone = [await store.destroy_collection(name) for name in ("a", "a", "x" * 300)]
            return gone, sorted(await store.collections())

        assert ([True, False, True], ["a:b", "ab"]) == used(use)

    def test_destroying_the_store(self, used, store, key):
        """Removes what is behind its prefix, and nothing else."""
        store.put(f"{key}x", 1)

        async def use(mine):
            await mine.put_many(NAMES, [{"n": 1}] * len(NAMES))
            return await mine.destroy(), await mine.collections()

        assert (True, []) == used(use)
        assert [f"{key}x"] == list(store.list(key))

    @pytest.mark.parametrize("prefix", ["", "x" * 65, "a\n"])
    def test_prefix_that_cannot_be(self, make, prefix):
        """Such as one that would have `destroy` remove everything."""
        with pytest.raises(ValueError, match="1 to 64 characters"):
            make(prefix=prefix)


class TestErrors:
    @pytest.mark.parametrize("value", [{"n": {1, 2}}, {"n": float("nan")}, {"n": {1: 2}}, {"n": "\ud800"}])
    def test_what_is_not_json(self, used, value):
        """SerializationError that says where in the value."""

        async def use(store):
            with pytest.raises(SerializationError, match="is not JSON"):
                await store.put("a", value)

        used(use)

    def test_what_is_too_large(self, used):
        """KeyValueOperationError that names the limit."""

        async def use(store):
            with pytest.raises(KeyValueOperationError, match="max_value_bytes"):
                await store.put("a", {"n": "x" * 2_000_000})

        used(use)

    def test_a_store_that_is_full(self, used, start_daemon):
        """KeyValueStoreError that names the limit."""
        daemon = start_daemon(max_file_bytes="65536", max_value_bytes="20000")

        async def use(store):
            with pytest.raises(KeyValueStoreError, match="max_file_bytes"):
                await store.put_many([f"k{number}" for number in range(20)], [{"n": "x" * 10_000}] * 20)

        used(use, at=daemon.endpoint)

    def test_no_daemon(self, used, no_daemon):
        """StoreConnectionError, from each method."""

        async def use(store):
            for ask in (
                store.get("a"),
                store.get_many(["a"]),
                store.put("a", {}),
                store.delete("a"),
                store.keys(),
                store.collections(),
                store.destroy(),
                store.destroy_collection("c"),
            ):
                with pytest.raises(StoreConnectionError, match=r"cannot be reached|listens"):
                    await ask

        used(use, at=no_daemon, timeout=0.1)


class TestClient:
    def test_one_of_its_own_is_closed(self, make):
        """With the store; the next use connects again."""

        async def use():
            closed = []
            store = make()
            close = store._client.close

            async def closing():
                closed.append(1)
                await close()

            store._client.close = closing
            async with store:
                await store.put("a", {"n": 1})
            return closed, await store.get("a")

        assert ([1], {"n": 1}) == asyncio.run(use())

    def test_one_that_was_given_is_not(self, endpoint, key):
        """It is its owner's."""

        async def use():
            async with AsyncClient(endpoint, timeout=30) as client:
                client.close, closed = (lambda: closed.append(1)), []
                async with KvdStore(client=client, prefix=f"{key}:") as store:
                    await store.put("a", {"n": 1})
                del client.close
                return closed, await client.count(f"{key}:")

        assert ([], 1) == asyncio.run(use())


def test_protocols(make):
    """It has all that the library knows, but for culling, which kvd does by itself."""
    known = {name: each for name, each in inspect.getmembers(protocols, inspect.isclass) if name.startswith("Async")}

    assert {"AsyncCullProtocol"} == {name for name, each in known.items() if not isinstance(make(), each)}
