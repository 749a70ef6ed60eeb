"""The types that users see, as mypy sees them. Checked by mypy, and never run."""

from collections.abc import AsyncIterator, ItemsView, Iterator
from typing import Any, assert_type

from pydantic import BaseModel

from kvclient import AsyncClient, Client, Entry, Event
from kvclient.contract.records import EventKind, Owner
from kvclient.recipes.async_mapping import AsyncMapping
from kvclient.recipes.lock import AsyncLock, Lock
from kvclient.recipes.mapping import StoreMapping
from kvclient.recipes.namespace import AsyncNamespace, Namespace
from kvclient.recipes.queue import Dead, Job
from kvd import LocalDataStore


class Model(BaseModel):
    """A value with fields."""

    name: str


def blocking(store: Client) -> None:
    """Every method of `Client`."""
    assert_type(store.create("key1", 1, ttl=5, ephemeral=True), int)
    assert_type(store.read("key1"), Any)
    assert_type(store.read("key1", as_=Model), Model)
    assert_type(store.read("key1", as_=list[int]), list[int])
    assert_type(store.entry("key1"), Entry)
    assert_type(store.entry("key1").owner, Owner | None)
    assert_type(store.entry("key1").expires_at, float | None)
    assert_type(store.entry("key1").value, Any)
    assert_type(store.entry("key1", as_=Model).value, Model)
    assert_type(store.put("key1", [1], 5.5, keep_ttl=True, if_revision=3, ephemeral=4711), int)
    assert_type(store.update("key1", None, keep_ttl=True, if_revision=3, ephemeral=4711), int)
    assert_type(store.delete("key1", if_revision=3), int)
    assert_type(store.pop("key1", if_revision=3), Any)
    assert_type(store.pop("key1", if_revision=3, as_=Model), Model)
    assert_type(store.increment("key1", 2, initial=0.5, ttl=5), Any)
    assert_type(store.exists("key1"), bool)
    assert_type(store.count("key"), int)
    assert_type(store.list("key", after="key1", limit=3), Iterator[str])
    assert_type(store.entries("key", after="key1", limit=3, values=False), Iterator[Entry])
    assert_type(store.entries("key", as_=Model), Iterator[Entry[Model]])
    assert_type(store.read_many(["key1"]), dict[str, Any])
    assert_type(store.read_many(["key1"], as_=Model), dict[str, Model])
    assert_type(store.delete_many({"key1"}), list[str])
    assert_type(store.expire("key1", 5), int)
    assert_type(store.persist("key1"), int)
    assert_type(store.batch_create({"key1": 1}, 5), int)
    assert_type(store.batch([{"op": "pop", "key": "key1"}]), list[dict[str, Any]])
    assert_type(store.clear("key"), int)
    with store.watch("key", after=3) as events:
        for event in events:
            assert_type(event, Event)
            assert_type(event.kind, EventKind)
    assert_type(store.stats(), dict[str, Any])
    assert_type(store.status(), dict[str, Any])
    assert_type(store.ping(), str | None)
    assert_type(store.endpoint, str)
    store.compact()
    store.stop()


def built_on_it(store: Client | LocalDataStore | Namespace) -> None:
    """Recipes."""
    assert_type(store.prefix("app:").prefix("x:"), Namespace)
    assert_type(store.prefix("app:").read("key1", as_=Model), Model)
    assert_type(store.mapping(), StoreMapping[Any])
    users = store.mapping("users:", as_=Model)
    assert_type(users, StoreMapping[Model])
    assert_type(users["a"], Model)
    assert_type(users.get("a"), Model | None)
    assert_type(users.pop("a"), Model)
    assert_type(users.pop("a", None), Model | None)
    assert_type(users.popitem(), tuple[str, Model])
    assert_type(users.setdefault("a", Model(name="a")), Model)
    assert_type(users.items(), ItemsView[str, Model])
    assert_type(users.copy(), dict[str, Model])
    assert_type("a" in users, bool)
    assert_type(list(users), list[str])


def memoized(store: Client) -> None:
    """A function that is memoized keeps its signature."""

    @store.memoize(ttl=60, prefix="memo:", ignore=("days",), early=1, as_=float)
    def rate(currency: str, days: int = 3) -> float:
        return days / len(currency)

    @store.memoize
    def names() -> list[str]:
        return []

    class Source:
        @store.memoize(key=lambda _, day: day)
        def read(self, day: int) -> str:
            return str(day)

    assert_type(rate("EUR", days=4), float)
    assert_type(rate.refresh("EUR"), float)
    assert_type(rate.forget("EUR"), bool)
    assert_type(rate.key("EUR"), str)
    assert_type(names(), list[str])
    assert_type(Source().read(1), str)
    assert_type(Source().read.refresh(1), str)
    rate(1)  # type: ignore[arg-type]
    rate("EUR", 4, 5)  # type: ignore[call-arg]
    Source().read("May")  # type: ignore[arg-type]


async def memoized_asynchronously(store: AsyncClient) -> None:
    """An async function, too."""

    @store.memoize(ttl=60)
    async def rate(currency: str) -> float:
        return len(currency) / 3

    class Source:
        @store.memoize
        async def read(self, day: int) -> str:
            return str(day)

    assert_type(await rate("EUR"), float)
    assert_type(await rate.refresh("EUR"), float)
    assert_type(await rate.forget("EUR"), bool)
    assert_type(rate.key("EUR"), str)
    assert_type(await Source().read(1), str)
    await rate(1)  # type: ignore[arg-type]


async def asynchronous(store: AsyncClient) -> None:
    """Methods of `AsyncClient`: those whose types are others than awaited ones of `Client`, and some that are not."""
    assert_type(await store.create("key1", 1), int)
    assert_type(await store.read("key1"), Any)
    assert_type(await store.read("key1", as_=Model), Model)
    assert_type(await store.entry("key1"), Entry)
    assert_type(store.list("key"), AsyncIterator[str])
    assert_type(store.entries("key"), AsyncIterator[Entry])
    assert_type(await store.delete_many(["key1"]), list[str])
    assert_type(await store.batch([]), list[dict[str, Any]])
    async for event in await store.watch("key"):
        assert_type(event, Event)
    assert_type(await store.entry("key1", as_=Model), Entry[Model])
    assert_type(await store.pop("key1", as_=Model), Model)
    assert_type(await store.read_many(["key1"], as_=Model), dict[str, Model])
    assert_type(store.entries("key", as_=Model), AsyncIterator[Entry[Model]])
    assert_type(store.prefix("app:").prefix("x:"), AsyncNamespace)
    users = store.mapping("users:", as_=Model)
    assert_type(users, AsyncMapping[Model])
    assert_type(await users.get("a"), Model | None)
    assert_type(await users.pop("a"), Model)
    assert_type(await users.setdefault("a", Model(name="a")), Model)
    async for key, user in users.items():
        assert_type(key, str)
        assert_type(user, Model)


def coordination(store: Client) -> None:
    """Locks, semaphores and queues."""
    with store.lock("a", wait=5, shared=2, reentrant=True) as lock:
        assert_type(lock, Lock)
        assert_type(lock.revision, int | None)
    assert_type(store.semaphore("a", 2).acquire(wait=0), bool)
    assert_type(store.lock("a").locked(), bool)
    jobs = store.queue("a", max_deaths=None)
    assert_type(jobs.put(1, delay=0.5, priority=3), str)
    assert_type(jobs.put_many([1]), list[str])
    assert_type(jobs.next(jobs.get(wait=5)), Job)
    with jobs.job() as job:
        assert_type(job, Job)
    assert_type(len(jobs), int)
    assert_type(jobs.dead(), list[Dead])


async def coordination_awaited(store: AsyncClient) -> None:
    """The same, where the types are others than awaited ones."""
    async with store.lock("a") as lock:
        assert_type(lock, AsyncLock)
    async with store.queue("a").job() as job:
        assert_type(job, Job)
    assert_type(await store.queue("a").size(), int)
