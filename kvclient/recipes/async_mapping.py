"""A mapping for asyncio: what `StoreMapping` is for threads, as far as it can be awaited.

Python's own syntax for dicts cannot: `m[key] = value`, `key in m` and `len(m)` are no places to wait. So these are
methods: `set`, `contains`, `count`.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from kvclient.contract.errors import InvalidKeyError, KeyNotFoundError, KeyTooLongError
from kvclient.recipes.mapping import MISSING, popitem, puts, setdefault
from kvclient.recipes.steps import run_async

if TYPE_CHECKING:
    from kvclient.recipes.async_face import AsyncRecipes

V = TypeVar("V")
D = TypeVar("D")


class AsyncMapping(Generic[V]):
    """The keys of `store` that begin with `prefix`, by what follows it, to be awaited. See `StoreMapping`.

    >>> config = store.mapping("config:")
    >>> await config.update({"colour": "red"}, size=3)
    >>> await config.get("colour")
    'red'
    >>> async for key, value in config.items():
    ...     print(key, value)
    colour red
    size 3
    """

    def __init__(self, store: "AsyncRecipes", prefix: str = "", as_: Any = None) -> None:
        """With `as_`, values come as objects of that type; see `Client.read`."""
        self._store = store.prefix(prefix)
        self._as = as_

    @overload
    async def get(self, key: str) -> V | None: ...
    @overload
    async def get(self, key: str, default: D) -> V | D: ...
    async def get(self, key: str, default: Any = None) -> Any:
        """Return the value of `key`, or `default` if there is none."""
        try:
            return await self._store.read(key, as_=self._as)
        except KeyNotFoundError:
            return default

    async def set(self, key: str, value: V) -> None:
        """Create `key` or replace its value. Atomic."""
        await self._store.put(key, value)

    async def delete(self, key: str) -> None:
        """Remove `key`. Atomic. Raises `KeyNotFoundError`."""
        await self._store.delete(key)

    async def contains(self, key: object) -> bool:
        """Tell whether there is `key`."""
        try:
            return await self._store.exists(key)  # type: ignore[arg-type]
        except (InvalidKeyError, KeyTooLongError):
            return False

    @overload
    async def pop(self, key: str) -> V: ...
    @overload
    async def pop(self, key: str, default: D) -> V | D: ...
    async def pop(self, key: str, default: Any = MISSING) -> Any:
        """Remove `key` and return its value, or `default` if there is none; see `StoreMapping.pop`."""
        try:
            return await self._store.pop(key, as_=self._as)
        except KeyNotFoundError:
            if default is MISSING:
                raise
            return default

    async def popitem(self) -> tuple[str, V]:
        """Remove the first item and return it; see `StoreMapping.popitem`."""
        return await run_async(self._store._call, popitem(self._as))  # noqa: SLF001

    async def setdefault(self, key: str, default: Any = None) -> V:
        """Return the value of `key`; if there is none, store `default` first. See `StoreMapping.setdefault`."""
        value: V = await run_async(self._store._call, setdefault(key, default, self._as))  # noqa: SLF001
        return value

    async def update(self, other: Any = (), /, **more: Any) -> None:
        """Set all keys of a mapping, or of pairs, and of named arguments; see `StoreMapping.update`."""
        if operations := puts(other, more):
            await self._store.batch(operations)

    async def clear(self) -> None:
        """Remove all keys; see `StoreMapping.clear`."""
        await self._store.clear()

    async def copy(self) -> dict[str, V]:
        """Return a dict of all that there is now, page by page."""
        return {key: value async for key, value in self.items()}

    async def count(self) -> int:
        """Return how many keys there are: `len`, to be awaited."""
        return await self._store.count()

    def keys(self) -> AsyncIterator[str]:
        """Iterate over the keys in their order."""
        return self._store.list()

    def __aiter__(self) -> AsyncIterator[str]:
        return self._store.list()

    def items(self) -> AsyncIterator[tuple[str, V]]:
        """Iterate over keys and values, in the order of keys."""
        return ((entry.key, entry.value) async for entry in self._store.entries(as_=self._as))

    def values(self) -> AsyncIterator[V]:
        """Iterate over the values, in the order of their keys."""
        return (entry.value async for entry in self._store.entries(as_=self._as))

    def __repr__(self) -> str:
        return f"<AsyncMapping on {self._store!r}>"
