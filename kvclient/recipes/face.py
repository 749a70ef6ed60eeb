"""The recipes as methods of a store: what `Client` and `LocalDataStore` have beside the operations.

Each is imported when it is first used: a script that reads one key pays for none of them.
"""

from typing import TYPE_CHECKING

from kvclient.contract.face import Face

if TYPE_CHECKING:
    from kvclient.recipes.lock import Lock
    from kvclient.recipes.queue import Queue


class Recipes(Face):
    """A key-value store with what is built on its operations."""

    def lock(self, name: str, *, wait: float | None = None, shared: int = 1, reentrant: bool = False) -> "Lock":
        """Return the lock called `name`, for `with`: held by this process, and free the instant that it ends.

        `with` waits `wait` seconds for it and then raises `LockHeldError`; None: as long as it takes; 0: not at all.
        First come, first served. Up to `shared` may hold it at a time. With `reentrant` the thread that holds it gets
        it again. What is promised and what is not: see `kvclient.recipes.lock`. Raises `InvalidKeyError` for what can
        be no name, `ValueError` for a number that cannot be.

        >>> with store.lock("nightly", wait=60) as lock:
        ...     print(lock.revision)
        42
        """
        from kvclient.recipes.lock import Lock

        return Lock(self, name, shared, wait=wait, reentrant=reentrant)

    def semaphore(self, name: str, n: int, *, wait: float | None = None) -> "Lock":
        """Return a semaphore, which up to `n` hold at a time: `lock(name, shared=n)`. Waits and raises as `lock`.

        >>> with store.semaphore("gpu", 2), store.semaphore("gpu", 2) as second:
        ...     print(second.locked())
        True
        """
        return self.lock(name, wait=wait, shared=n)

    def queue(self, name: str, *, max_deaths: int | None = 3) -> "Queue":
        """Return the queue of jobs called `name`, for workers in any process.

        A job has one worker at a time; the job of one that dies is free again at once, in its place. After
        `max_deaths` attempts (None: no limit) it is a dead letter. See `kvclient.recipes.queue`. Raises
        `InvalidKeyError` for what can be no name, `ValueError` for a number that cannot be.

        >>> jobs = store.queue("thumbnails")
        >>> job_id = jobs.put({"image": "cat.png"})
        >>> with jobs.job() as job:
        ...     print("shrinking", job.value["image"])
        shrinking cat.png
        """
        from kvclient.recipes.queue import Queue

        return Queue(self, name, max_deaths=max_deaths)
