"""The operations as methods to be awaited: what `Face` is for threads."""

import builtins
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, TypeVar, overload

from kvclient.contract import calls
from kvclient.contract.calls import Call
from kvclient.contract.listing import Listing, entries_async
from kvclient.contract.records import Entry
from kvclient.contract.watching import AsyncWatch

T = TypeVar("T")


class AsyncFace(ABC):
    """A key-value store for asyncio. See `Face`, whose methods and arguments are the same."""

    @abstractmethod
    async def _call(self, call: Call[T]) -> T:
        """Have a call carried out: return what its reply comes to, or raise the error that it tells of."""

    async def create(self, key: str, value: Any, ttl: float | None = None, *, ephemeral: bool | int = False) -> int:
        """Store `value` under a new `key`; see `Client.create`."""
        return await self._call(calls.create(key, value, ttl, ephemeral=ephemeral))

    @overload
    async def read(self, key: str) -> Any: ...
    @overload
    async def read(self, key: str, *, as_: type[T]) -> T: ...
    @overload
    async def read(self, key: str, *, as_: Any) -> Any: ...
    async def read(self, key: str, *, as_: Any = None) -> Any:
        """Return the value of `key`; see `Client.read`."""
        return await self._call(calls.typed(calls.read(key), as_, key))

    @overload
    async def entry(self, key: str) -> Entry: ...
    @overload
    async def entry(self, key: str, *, as_: type[T]) -> Entry[T]: ...
    @overload
    async def entry(self, key: str, *, as_: Any) -> Entry: ...
    async def entry(self, key: str, *, as_: Any = None) -> Any:
        """Return `key` with all that is known of it; see `Client.entry`."""
        return await self._call(calls.typed(calls.entry(key), as_, key))

    async def put(
        self,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        keep_ttl: bool = False,
        if_revision: int | None = None,
        ephemeral: bool | int = False,
    ) -> int:
        """Create `key` or replace its value; see `Client.put`."""
        return await self._call(
            calls.put(key, value, ttl, keep_ttl=keep_ttl, if_revision=if_revision, ephemeral=ephemeral)
        )

    async def update(
        self,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        keep_ttl: bool = False,
        if_revision: int | None = None,
        ephemeral: bool | int = False,
    ) -> int:
        """Replace the value of a `key` that exists; see `Client.update`."""
        return await self._call(
            calls.update(key, value, ttl, keep_ttl=keep_ttl, if_revision=if_revision, ephemeral=ephemeral)
        )

    async def delete(self, key: str, *, if_revision: int | None = None) -> int:
        """Remove `key`; see `Client.delete`."""
        return await self._call(calls.delete(key, if_revision=if_revision))

    @overload
    async def pop(self, key: str, *, if_revision: int | None = None) -> Any: ...
    @overload
    async def pop(self, key: str, *, if_revision: int | None = None, as_: type[T]) -> T: ...
    @overload
    async def pop(self, key: str, *, if_revision: int | None = None, as_: Any) -> Any: ...
    async def pop(self, key: str, *, if_revision: int | None = None, as_: Any = None) -> Any:
        """Remove `key` and return the value that it had; see `Client.pop`."""
        return await self._call(calls.typed(calls.pop(key, if_revision=if_revision), as_, key))

    async def increment(self, key: str, by: float = 1, *, initial: float = 0, ttl: float | None = None) -> Any:
        """Add to the number that `key` has; see `Client.increment`."""
        return await self._call(calls.increment(key, by, initial=initial, ttl=ttl))

    async def exists(self, key: str) -> bool:
        """Tell whether `key` exists; see `Client.exists`."""
        return await self._call(calls.exists(key))

    async def expire(self, key: str, ttl: float | None) -> int:
        """Let `key` expire `ttl` seconds from now, or never; see `Client.expire`."""
        return await self._call(calls.expire(key, ttl))

    async def persist(self, key: str) -> int:
        """Let `key` never expire; see `Client.persist`."""
        return await self._call(calls.expire(key, None))

    async def count(self, prefix: str = "") -> int:
        """Return how many keys begin with `prefix`; see `Client.count`."""
        return await self._call(calls.count(prefix))

    def list(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> AsyncIterator[str]:
        """Iterate over keys in their order: `async for key in store.list()`; see `Client.list`."""
        return (entry.key async for entry in entries_async(self._call, Listing(prefix, after, limit, values=False)))

    @overload
    def entries(
        self, prefix: str = "", *, after: str = "", limit: int | None = None, values: bool = True
    ) -> AsyncIterator[Entry]: ...
    @overload
    def entries(
        self, prefix: str = "", *, after: str = "", limit: int | None = None, values: bool = True, as_: type[T]
    ) -> AsyncIterator[Entry[T]]: ...
    @overload
    def entries(
        self, prefix: str = "", *, after: str = "", limit: int | None = None, values: bool = True, as_: Any
    ) -> AsyncIterator[Entry]: ...
    def entries(
        self, prefix: str = "", *, after: str = "", limit: int | None = None, values: bool = True, as_: Any = None
    ) -> AsyncIterator[Entry[Any]]:
        """Iterate over keys with all that is known of them: `async for entry in store.entries()`; see
        `Client.entries`.
        """
        return entries_async(self._call, Listing(prefix, after, limit, values=values, as_=as_))

    @overload
    async def read_many(self, keys: Iterable[str]) -> dict[str, Any]: ...
    @overload
    async def read_many(self, keys: Iterable[str], *, as_: type[T]) -> dict[str, T]: ...
    @overload
    async def read_many(self, keys: Iterable[str], *, as_: Any) -> dict[str, Any]: ...
    async def read_many(self, keys: Iterable[str], *, as_: Any = None) -> dict[str, Any]:
        """Return the values of those `keys` that exist; see `Client.read_many`."""
        return await self._call(calls.typed(calls.read_many(keys), as_))

    async def delete_many(self, keys: Iterable[str]) -> builtins.list[str]:
        """Remove those `keys` that exist; see `Client.delete_many`."""
        return await self._call(calls.delete_many(keys))

    async def batch_create(self, items: Mapping[str, Any], ttl: float | None = None) -> int:
        """Create all `items` (key → value) or none; see `Client.batch_create`."""
        return await self._call(calls.batch_create(items, ttl))

    async def batch(self, operations: Iterable[Mapping[str, Any]]) -> builtins.list[dict[str, Any]]:
        """Carry out all `operations` or none; see `Client.batch`."""
        return await self._call(calls.batch(operations))

    async def clear(self, prefix: str = "") -> int:
        """Remove all keys that begin with `prefix`; see `Client.clear`."""
        return await self._call(calls.clear(prefix))

    async def watch(self, prefix: str = "", *, after: int | None = None) -> AsyncWatch:
        """Iterate over changes as they happen: `async for event in await store.watch()`; see `Client.watch`."""
        return await AsyncWatch.begin(self._call, prefix, after)

    async def stats(self) -> dict[str, Any]:
        """Return what was done since the daemon started; see `Client.stats`."""
        return await self._call(calls.stats())

    async def status(self) -> dict[str, Any]:
        """Return what the daemon tells of itself; see `Client.status`."""
        return await self._call(calls.status())

    async def ping(self) -> str | None:
        """Return if the daemon answers; see `Client.ping`."""
        return await self._call(calls.ping())

    async def compact(self) -> None:
        """Start to free the space of what is gone; see `Client.compact`."""
        return await self._call(calls.compact())
