"""A lock that processes of one machine share: first come first served, free the instant that its holder dies.

What is promised: it is held by a process that lives. It is free when it is released, and when the process ends, however
it ends, and never before, restarts of the daemon included; the kernel tells, so that nothing has to be renewed. Waiters
get it in the order in which they came, a waiter that dies leaves the line.

What is not: nobody is made to let go. A holder that hangs, or that somebody stopped, holds the lock as long as it
lives. The lock does not keep anybody off what it protects who does not ask for it; and everybody who may write to the
store may delete a ticket, which takes its lock away. A resource that has to be safe from that, or from other machines,
remembers the highest `revision` that it was shown and refuses a lower one.
"""

import threading
from types import EllipsisType, TracebackType
from typing import Any, Self

from kvclient.contract.async_face import AsyncFace
from kvclient.contract.face import Face
from kvclient.recipes.holding import Holding, OnWait
from kvclient.recipes.line import Holder
from kvclient.recipes.steps import run, run_async
from kvclient.recipes.waiting import Wait, chosen


class _Described:
    """A lock as it was described: nothing is asked for yet."""

    def __init__(
        self,
        store: Any,
        name: str,
        shared: int = 1,
        *,
        wait: Wait = None,
        reentrant: bool = False,
        command: str | None = None,
    ) -> None:
        """Describe the lock; see `Client.lock`. `command` is what others are told of the holder, in place of this
        process's command line.

        Raises `ValueError` if `shared` is no number from 1 on, or `wait` no number of seconds.
        """
        self._store = store
        self._holding = Holding(store, name, shared, wait, command, reentrant=reentrant)

    @property
    def name(self) -> str:
        """The name by which all know it."""
        return self._holding.name

    @property
    def shared(self) -> int:
        """How many may hold it at a time."""
        return self._holding.shared

    def __reduce__(self) -> Any:
        # Described alike in another process, which does not hold it.
        return _describe, (type(self), self._store, self.name, self.shared, self._holding.wait, self._holding.reentrant)


def _describe(kind: type[_Described], store: Any, name: str, shared: int, wait: Wait, reentrant: bool) -> _Described:
    return kind(store, name, shared, wait=wait, reentrant=reentrant)


class Lock(_Described):
    """A lock named `name` among all processes that use the same store; for up to `shared` holders at a time.

    Can be used by several threads, which then wait for each other as other processes do; each hold is released once,
    by any thread. With `reentrant`, a thread that holds the lock gets it again at once, also through another object of
    the same store, and releases it as often, itself.

    Those who ask for one lock with different `shared` are all kept to: one that came with 1 is alone with it.

    >>> with store.lock("nightly", wait=60) as lock:
    ...     print(lock.revision)
    42
    """

    _store: Face

    @property
    def revision(self) -> int | None:
        """The fencing number: higher than that of every holder before. None if this process does not hold the lock
        through this object; with `reentrant`, if this thread does not.
        """
        hold = self._holding.hold(threading.current_thread())
        return None if hold is None else hold.revision

    def acquire(self, wait: Wait | EllipsisType = ..., *, on_wait: OnWait = None) -> bool:
        """Get the lock and return True; return False if others hold it for `wait` seconds more. None: wait as long as
        it takes; 0: do not wait; left out: as it was said when the lock was described.

        `on_wait` is called once, with the holders, if it has to wait. Raises what any call to the store raises; then
        the lock is not held.
        """
        seconds = chosen(wait, self._holding.wait)
        return run(self._store._call, self._holding.acquire(threading.current_thread(), seconds, on_wait))  # noqa: SLF001

    def release(self) -> None:
        """Let the next one have it. Raises `RuntimeError` if this process does not hold the lock, and
        `KeyNotFoundError` if somebody had taken it away by deleting its ticket.
        """
        run(self._store._call, self._holding.release(threading.current_thread()))  # noqa: SLF001

    def locked(self) -> bool:
        """Tell whether who asks for it now would have to wait, whoever holds it: as `threading.Lock.locked`."""
        return run(self._store._call, self._holding.locked())  # noqa: SLF001

    def holders(self) -> list[Holder]:
        """Return who holds the lock now, the longest first."""
        return run(self._store._call, self._holding.holders())  # noqa: SLF001

    def __enter__(self) -> Self:
        """Get the lock. Raises `LockHeldError`, also a `TimeoutError`, if it is not free within `wait` seconds."""
        run(self._store._call, self._holding.enter(threading.current_thread()))  # noqa: SLF001
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class AsyncLock(_Described):
    """`Lock` for asyncio: the same lock, with methods to be awaited. Tasks wait for each other as processes do.

    A task that is cancelled while it waits leaves the line. With `reentrant`, a task that holds it gets it again.

    >>> async with store.lock("nightly", wait=60) as lock:
    ...     print(lock.revision)
    42
    """

    _store: AsyncFace

    @property
    def revision(self) -> int | None:
        """The fencing number; see `Lock.revision`."""
        hold = self._holding.hold(_task())
        return None if hold is None else hold.revision

    async def acquire(self, wait: Wait | EllipsisType = ..., *, on_wait: OnWait = None) -> bool:
        """Get the lock and return True, or False if others hold it for too long; see `Lock.acquire`."""
        seconds = chosen(wait, self._holding.wait)
        return await run_async(self._store._call, self._holding.acquire(_task(), seconds, on_wait))  # noqa: SLF001

    async def release(self) -> None:
        """Let the next one have it; see `Lock.release`."""
        await run_async(self._store._call, self._holding.release(_task()))  # noqa: SLF001

    async def locked(self) -> bool:
        """Tell whether who asks for it now would have to wait; see `Lock.locked`."""
        return await run_async(self._store._call, self._holding.locked())  # noqa: SLF001

    async def holders(self) -> list[Holder]:
        """Return who holds the lock now, the longest first."""
        return await run_async(self._store._call, self._holding.holders())  # noqa: SLF001

    async def __aenter__(self) -> Self:
        """Get the lock. Raises `LockHeldError` if it is not free within `wait` seconds."""
        await run_async(self._store._call, self._holding.enter(_task()))  # noqa: SLF001
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release()


def _task() -> object:
    import asyncio  # whoever awaits has it already; kvctl lock has no need of it

    return asyncio.current_task()
