"""The recipes as methods of a store: what `Client` and `LocalDataStore` have beside the operations.

Each is imported when it is first used: a script that reads one key pays for none of them.
"""

from typing import TYPE_CHECKING, Any, TypeVar, overload

from kvclient.contract.face import Face

if TYPE_CHECKING:
    from kvclient.recipes.lock import Lock
    from kvclient.recipes.mapping import StoreMapping
    from kvclient.recipes.namespace import Namespace

T = TypeVar("T")


class Recipes(Face):
    """A key-value store with what is built on its operations."""

    def lock(self, name: str, *, shared: int = 1) -> "Lock":
        """Return the lock called `name`, for `with`: held by this process, and free the instant that it ends.

        See `kvclient.recipes.lock`.

        >>> with store.lock("nightly") as lock:
        ...     print(lock.revision)
        42
        """
        from kvclient.recipes.lock import Lock

        return Lock(self, name, shared)

    @overload
    def mapping(self, prefix: str = "") -> "StoreMapping[Any]": ...
    @overload
    def mapping(self, prefix: str = "", *, as_: type[T]) -> "StoreMapping[T]": ...
    @overload
    def mapping(self, prefix: str = "", *, as_: Any) -> "StoreMapping[Any]": ...
    def mapping(self, prefix: str = "", *, as_: Any = None) -> "StoreMapping[Any]":
        """Return the keys that begin with `prefix` as a dict that all processes share, without the prefix.

        With `as_`, values come as objects of that type; see `read`. See `kvclient.recipes.mapping` for what is atomic.
        Raises `InvalidKeyError` for what no key can begin with.

        >>> config = store.mapping("config:")
        >>> config["colour"] = "red"
        >>> config | {"size": 3}
        {'colour': 'red', 'size': 3}
        """
        from kvclient.recipes.mapping import StoreMapping

        return StoreMapping(self, prefix, as_)

    def prefix(self, prefix: str) -> "Namespace":
        """Return a store of the same methods for the keys that begin with `prefix`, which are named without it.

        Its locks, queues and what else is built on keys are others than those of the store itself. The whole key has to
        keep to `max_key_length`: `KeyTooLongError` names it. The key that is `prefix` itself has no name in it: it is
        not listed or counted, but `clear()` removes it, too. Raises `InvalidKeyError` for what no key can begin with.

        >>> app = store.prefix("app:")
        >>> app.put("key1", 1)
        42
        >>> store.read("app:key1")
        1
        """
        from kvclient.recipes.namespace import Namespace

        return Namespace(self, prefix)
