"""The recipes as methods of a store: what `Client` and `LocalDataStore` have beside the operations.

Each is imported when it is first used: a script that reads one key pays for none of them.
"""

from typing import TYPE_CHECKING

from kvclient.contract.face import Face

if TYPE_CHECKING:
    from kvclient.recipes.lock import Lock


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
