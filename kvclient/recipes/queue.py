"""A queue of jobs for workers in any process: each job has one worker at a time, and what a dead worker had comes back.

What is promised: a job that was put is there until it is done, whatever crashes. While the process lives that took it,
nobody else gets it; the instant that it dies, the job is free again, in its old place. Jobs are served by priority,
those of one priority in the order of the machine's clock when they were put or fell due. Each change is carried out
once, also if the daemon is killed in the midst of it.

What is not: a job whose worker died is done again, and may have been half done before; make its steps such that they
can be repeated. A worker that hangs or was stopped keeps its job as long as it lives. Where several workers take jobs
at the same moment, jobs that wait beside each other may start in another order.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from kvclient.contract.async_face import AsyncFace
from kvclient.contract.face import Face
from kvclient.recipes.jobs import Dead, Job
from kvclient.recipes.serving import Empty, Serving
from kvclient.recipes.steps import run, run_async
from kvclient.recipes.waiting import Wait

__all__ = ["AsyncQueue", "Dead", "Empty", "Job", "Queue"]


class Queue:
    """A queue named `name` in a store. Safe to use from many threads.

    A job is *taken* by `get` and then has this process, until it is `done`, given back, or the process ends. After
    `max_deaths` attempts that did not end in `done` it is set aside as a dead letter.

    >>> jobs = store.queue("thumbnails")
    >>> job_id = jobs.put({"image": "cat.png"})
    >>> with jobs.job() as job:
    ...     print("shrinking", job.value["image"], len(jobs))
    shrinking cat.png 1
    >>> len(jobs)
    0
    """

    def __init__(self, store: Face, name: str, *, max_deaths: int | None = 3) -> None:
        """Describe the queue; nothing is asked for yet. Raises `InvalidKeyError` for a name with a #, and
        `ValueError` if `max_deaths` is no number from 1 on.
        """
        self._store = store
        self._serving = Serving(store, name, max_deaths)

    @property
    def name(self) -> str:
        """The name by which all know it."""
        return self._serving.name

    def put(self, value: Any, *, delay: float = 0, priority: int = 0) -> str:
        """Add a job, and return its id. Atomic; it is there to stay when this returns.

        It is served `delay` seconds from now at the earliest, before all jobs of a lower `priority`. Raises as
        `Client.create`, and `ValueError` for a delay or a priority that cannot be.
        """
        return run(self._store._call, self._serving.put([value], delay, priority))[0]  # noqa: SLF001

    def put_many(self, values: Iterable[Any], *, delay: float = 0, priority: int = 0) -> list[str]:
        """Add a job for each value, in this order, and return their ids. Atomic: all or none.

        Raises `BatchTooLargeError` for more than `max_batch`.
        """
        return run(self._store._call, self._serving.put(values, delay, priority))  # noqa: SLF001

    def get(self, wait: Wait = None) -> Job:
        """Take the next job: it is this process's until it is `done`, given back, or the process ends.

        Waits up to `wait` seconds for one; None: as long as it takes; 0: not at all. Raises `queue.Empty` if there is
        none. Interrupted, as by Ctrl-C, it has taken none.
        """
        return run(self._store._call, self._serving.get(wait))  # noqa: SLF001

    def done(self, job: Job) -> None:
        """Remove a job that was taken. Atomic: from now on it cannot come back.

        Raises `KeyNotFoundError` if it is not held any more: it was done or given back before.
        """
        run(self._store._call, self._serving.done(job))  # noqa: SLF001

    def next(self, job: Job, wait: Wait = None) -> Job:
        """Remove a job that was taken, and take the next one, as `done` and `get` do: but in one commit instead
        of two, if there is a next one by then.

        Raises as these do. With `queue.Empty` the job is done all the same; with another error it may be, and then
        `done` says that it is not held any more.
        """
        return run(self._store._call, self._serving.next(job, wait))  # noqa: SLF001

    def give_back(self, job: Job, *, counts: bool = False, error: str | None = None) -> None:
        """Let others have a job that was taken, in its old place. What `counts` is one of its deaths, and if it was the
        last, `error` is kept with the dead letter. Raises as `done`.
        """
        run(self._store._call, self._serving.give_back(job, error, counts=counts))  # noqa: SLF001

    @contextmanager
    def job(self, wait: Wait = None) -> Iterator[Job]:
        """Take a job for a `with` block, at whose end it is done.

        An exception gives it back, as a death of the job, and goes on to the caller. What says nothing of the job,
        such as Ctrl-C, `SystemExit` or a cancellation, gives it back and is no death.
        """
        job = self.get(wait)
        try:
            yield job
        except Exception as error:
            self.give_back(job, counts=True, error=_told(error))
            raise
        except BaseException:
            self.give_back(job)
            raise
        self.done(job)

    def dead(self) -> list[Dead]:
        """Return the dead letters, in the order of service."""
        return run(self._store._call, self._serving.dead())  # noqa: SLF001

    def retry(self, dead: Dead) -> None:
        """Have a dead letter be a job again, in its old place, as if it had never been taken. Atomic.

        Raises `KeyNotFoundError` if it is no dead letter any more.
        """
        run(self._store._call, self._serving.retry(dead))  # noqa: SLF001

    def discard(self, dead: Dead) -> None:
        """Delete a dead letter. Raises as `retry`."""
        run(self._store._call, self._serving.discard(dead))  # noqa: SLF001

    def size(self) -> int:
        """Return how many jobs are not done yet: those that wait, those that are delayed and those being worked on, but
        not dead letters. The same as `len(queue)`.
        """
        return run(self._store._call, self._serving.size())  # noqa: SLF001

    def __len__(self) -> int:
        return self.size()

    def __bool__(self) -> bool:  # an empty queue is a queue
        return True

    def __reduce__(self) -> Any:
        return _describe, (type(self), self._store, self.name, self._serving.max_deaths)


class AsyncQueue:
    """`Queue` for asyncio: the same queue, with methods to be awaited.

    >>> jobs = store.queue("thumbnails")
    >>> job_id = await jobs.put({"image": "cat.png"})
    >>> async with jobs.job() as job:
    ...     print("shrinking", job.value["image"])
    shrinking cat.png
    """

    def __init__(self, store: AsyncFace, name: str, *, max_deaths: int | None = 3) -> None:
        """Describe the queue; see `Queue`."""
        self._store = store
        self._serving = Serving(store, name, max_deaths)

    @property
    def name(self) -> str:
        """The name by which all know it."""
        return self._serving.name

    async def put(self, value: Any, *, delay: float = 0, priority: int = 0) -> str:
        """Add a job, and return its id; see `Queue.put`."""
        return (await run_async(self._store._call, self._serving.put([value], delay, priority)))[0]  # noqa: SLF001

    async def put_many(self, values: Iterable[Any], *, delay: float = 0, priority: int = 0) -> list[str]:
        """Add a job for each value, all or none; see `Queue.put_many`."""
        return await run_async(self._store._call, self._serving.put(values, delay, priority))  # noqa: SLF001

    async def get(self, wait: Wait = None) -> Job:
        """Take the next job, or raise `queue.Empty`; see `Queue.get`. Cancelled, it has taken none."""
        return await run_async(self._store._call, self._serving.get(wait))  # noqa: SLF001

    async def done(self, job: Job) -> None:
        """Remove a job that was taken; see `Queue.done`."""
        await run_async(self._store._call, self._serving.done(job))  # noqa: SLF001

    async def next(self, job: Job, wait: Wait = None) -> Job:
        """Remove a job that was taken, and take the next one; see `Queue.next`."""
        return await run_async(self._store._call, self._serving.next(job, wait))  # noqa: SLF001

    async def give_back(self, job: Job, *, counts: bool = False, error: str | None = None) -> None:
        """Let others have a job that was taken; see `Queue.give_back`."""
        await run_async(self._store._call, self._serving.give_back(job, error, counts=counts))  # noqa: SLF001

    @asynccontextmanager
    async def job(self, wait: Wait = None) -> AsyncIterator[Job]:
        """Take a job for an `async with` block, at whose end it is done; see `Queue.job`."""
        job = await self.get(wait)
        try:
            yield job
        except Exception as error:
            await self.give_back(job, counts=True, error=_told(error))
            raise
        except BaseException:
            await self.give_back(job)
            raise
        await self.done(job)

    async def dead(self) -> list[Dead]:
        """Return the dead letters; see `Queue.dead`."""
        return await run_async(self._store._call, self._serving.dead())  # noqa: SLF001

    async def retry(self, dead: Dead) -> None:
        """Have a dead letter be a job again; see `Queue.retry`."""
        await run_async(self._store._call, self._serving.retry(dead))  # noqa: SLF001

    async def discard(self, dead: Dead) -> None:
        """Delete a dead letter; see `Queue.discard`."""
        await run_async(self._store._call, self._serving.discard(dead))  # noqa: SLF001

    async def size(self) -> int:
        """Return how many jobs are not done yet; see `Queue.size`."""
        return await run_async(self._store._call, self._serving.size())  # noqa: SLF001

    def __reduce__(self) -> Any:
        return _describe, (type(self), self._store, self.name, self._serving.max_deaths)


def _describe(kind: type[Any], store: Any, name: str, max_deaths: int | None) -> Any:
    return kind(store, name, max_deaths=max_deaths)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:1000]
