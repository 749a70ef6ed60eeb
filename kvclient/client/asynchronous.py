"""`AsyncClient`: the store of a daemon, from any task of an event loop."""

import asyncio
import time
from contextlib import closing
from os import getpid
from types import TracebackType
from typing import Self, TypeVar

from kvclient.client.async_connection import AsyncConnection
from kvclient.client.blocking import Caller
from kvclient.contract import calls
from kvclient.contract.calls import Call
from kvclient.contract.endpoint import Target
from kvclient.contract.errors import RequestTimeoutError
from kvclient.recipes.async_face import AsyncRecipes

T = TypeVar("T")

MOST_CONNECTIONS = 64
"""Requests of one client that are under way at a time; more wait for their turn. So many share a sync of the disk, and
more would only take more descriptors of both sides."""


class _Pool:
    """The connections that an event loop has."""

    def __init__(self) -> None:
        self.pid = getpid()
        self.loop = asyncio.get_running_loop()
        self.turn = asyncio.Semaphore(MOST_CONNECTIONS)
        self._idle: list[AsyncConnection] = []
        self._closed = False

    def take(self, target: Target) -> AsyncConnection:
        return self._idle.pop() if self._idle else AsyncConnection(target)

    def put_back(self, connection: AsyncConnection) -> None:
        if self._closed or len(self._idle) == MOST_CONNECTIONS:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()


class AsyncClient(Caller, AsyncRecipes):
    """A store, as its daemon serves it, for asyncio: `Client` with the same methods, to be awaited.

    Safe to call from many tasks at once; a call that is cancelled leaves nothing behind for the next one, though a
    change may have been carried out. Best closed in the loop that used it, by `async with` or `await store.close()`.

    >>> async with AsyncClient() as store:
    ...     await store.create("key1", {"name": "value1"}, ttl=5)
    ...     await store.read("key1")
    1
    {'name': 'value1'}
    """

    async def stop(self) -> None:
        """End the daemon; see `Client.stop`."""
        with closing(AsyncConnection(self._target.without_autostart())) as connection:
            request = calls.stop().request
            calls.stop().result(await connection.ask(request, time.monotonic(), self.timeout, changes=False))

    async def close(self) -> None:
        """Close all connections; those of calls under way when they are done. The next call connects again."""
        self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _connect(self) -> None:
        self._pool: _Pool | None = None

    def _close(self) -> None:
        if self._pool is not None and self._pool.pid == getpid():
            self._pool.close()
        self._pool = None

    async def _call(self, call: Call[T]) -> T:
        return call.result(await (self._park(call) if call.wait else self._exchange(call)))

    async def _exchange(self, call: Call[T]) -> bytes:
        pool = self._current_pool()
        started, timeout = time.monotonic(), self._timeout
        if pool.turn.locked():
            await self._wait_for_turn(pool, timeout)
        else:
            await pool.turn.acquire()
        connection = pool.take(self._target)
        try:
            return await connection.ask(call.request, started, timeout, changes=call.changes)
        finally:
            pool.put_back(connection)
            pool.turn.release()

    async def _wait_for_turn(self, pool: _Pool, timeout: float) -> None:  # noqa: ASYNC109
        try:
            async with asyncio.timeout(timeout):
                await pool.turn.acquire()
        except TimeoutError:
            raise RequestTimeoutError(
                f"{MOST_CONNECTIONS} requests to {self.endpoint} were under way for {timeout:g} s, and this one "
                "was not sent. Nothing was changed."
            ) from None

    async def _park(self, call: Call[T]) -> bytes:
        """Return the reply to what the daemon answers when something happens. It takes nobody's turn meanwhile."""
        pool = self._current_pool()
        connection = pool.take(self._target)
        try:
            return await connection.ask(
                call.request, time.monotonic(), self.timeout, changes=call.changes, wait=call.wait
            )
        finally:
            pool.put_back(connection)

    def _current_pool(self) -> _Pool:
        """Return the pool of this event loop in this process: sockets serve no other."""
        pool = self._pool
        if pool is None or pool.loop is not asyncio.get_running_loop() or pool.pid != getpid():
            self._close()
            pool = self._pool = _Pool()
        return pool
