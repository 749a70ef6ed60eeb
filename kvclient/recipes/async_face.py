"""The recipes as methods of `AsyncClient`: what `Recipes` is for threads."""

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from kvclient.contract.async_face import AsyncFace

if TYPE_CHECKING:
    from kvclient.recipes.async_memoize import AsyncMemoized

P = ParamSpec("P")
R = TypeVar("R")


class AsyncRecipes(AsyncFace):
    """A key-value store for asyncio with what is built on its operations. See `Recipes`."""

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
