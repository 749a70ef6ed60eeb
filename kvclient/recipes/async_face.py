"""The recipes as methods of `AsyncClient`: what `Recipes` is for threads."""

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from kvclient.contract.async_face import AsyncFace

if TYPE_CHECKING:
    from kvclient.recipes.async_mapping import AsyncMapping
    from kvclient.recipes.async_memoize import AsyncMemoized
    from kvclient.recipes.lock import AsyncLock
    from kvclient.recipes.namespace import AsyncNamespace
    from kvclient.recipes.queue import AsyncQueue

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


class AsyncRecipes(AsyncFace):
    """A key-value store for asyncio with what is built on its operations. See `Recipes`."""

    def lock(self, name: str, *, wait: float | None = None, shared: int = 1, reentrant: bool = False) -> "AsyncLock":
        """Return the lock called `name`, for `async with`; see `Client.lock`."""
        from kvclient.recipes.lock import AsyncLock

        return AsyncLock(self, name, shared, wait=wait, reentrant=reentrant)

    def semaphore(self, name: str, n: int, *, wait: float | None = None) -> "AsyncLock":
        """Return a semaphore, which up to `n` hold at a time; see `Client.semaphore`."""
        return self.lock(name, wait=wait, shared=n)

    def queue(self, name: str, *, max_deaths: int | None = 3) -> "AsyncQueue":
        """Return the queue of jobs called `name`, for workers in any process; see `Client.queue`."""
        from kvclient.recipes.queue import AsyncQueue

        return AsyncQueue(self, name, max_deaths=max_deaths)

    @overload
    def mapping(self, prefix: str = "") -> "AsyncMapping[Any]": ...
    @overload
    def mapping(self, prefix: str = "", *, as_: type[T]) -> "AsyncMapping[T]": ...
    @overload
    def mapping(self, prefix: str = "", *, as_: Any) -> "AsyncMapping[Any]": ...
    def mapping(self, prefix: str = "", *, as_: Any = None) -> "AsyncMapping[Any]":
        """Return the keys that begin with `prefix` as a mapping to be awaited; see `Client.mapping`."""
        from kvclient.recipes.async_mapping import AsyncMapping

        return AsyncMapping(self, prefix, as_)

    def prefix(self, prefix: str) -> "AsyncNamespace":
        """Return a store of the same methods for the keys that begin with `prefix`; see `Client.prefix`."""
        from kvclient.recipes.namespace import AsyncNamespace

        return AsyncNamespace(self, prefix)

    @overload
    def memoize(self, function: Callable[P, Awaitable[R]], /) -> "AsyncMemoized[P, R]": ...
    @overload
    def memoize(
        self,
        function: None = None,
        /,
        *,
        ttl: float | None = None,
        prefix: str = "memo:",
        ignore: str | int | Collection[str | int] = (),
        key: Callable[..., Any] | None = None,
        early: float = 0.0,
        as_: Any = None,
    ) -> "Callable[[Callable[P, Awaitable[R]]], AsyncMemoized[P, R]]": ...
    def memoize(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        ttl: float | None = None,
        prefix: str = "memo:",
        ignore: str | int | Collection[str | int] = (),
        key: Callable[..., Any] | None = None,
        early: float = 0.0,
        as_: Any = None,
    ) -> Any:
        """Decorate an async function so that its results are kept here; see `Client.memoize`.

        >>> @store.memoize(ttl=60)
        ... async def rate(currency: str) -> float:
        ...     return await ask_the_bank(currency)
        """
        from kvclient.recipes.async_memoize import AsyncMemoized
        from kvclient.recipes.memoize import Options, memoizing

        return memoizing(AsyncMemoized, self._call, function, Options(ttl, prefix, ignore, key, early, as_))
