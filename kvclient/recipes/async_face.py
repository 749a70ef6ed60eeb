"""The recipes as methods of `AsyncClient`: what `Recipes` is for threads."""

from typing import TYPE_CHECKING

from kvclient.contract.async_face import AsyncFace

if TYPE_CHECKING:
    from kvclient.recipes.lock import AsyncLock
    from kvclient.recipes.queue import AsyncQueue


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
