"""The recipes as methods of `AsyncClient`: what `Recipes` is for threads."""

from typing import TYPE_CHECKING, Any, TypeVar, overload

from kvclient.contract.async_face import AsyncFace

if TYPE_CHECKING:
    from kvclient.recipes.async_mapping import AsyncMapping
    from kvclient.recipes.namespace import AsyncNamespace

T = TypeVar("T")


class AsyncRecipes(AsyncFace):
    """A key-value store for asyncio with what is built on its operations. See `Recipes`."""

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
