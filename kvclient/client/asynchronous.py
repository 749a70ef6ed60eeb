"""`AsyncClient`: the store of a daemon, from any task of an event loop."""

import asyncio
import time
from contextlib import closing
from os import getpid
from types import TracebackType
from typing import Self, TypeVar

import zmq
import zmq.asyncio

from kvclient.client.attempts import FIRST_RETRY_SECONDS, Exchange, attempts, went_away
from kvclient.client.blocking import Caller
from kvclient.client.connection import Line
from kvclient.client.parking import LineLost, ask_unless_lost
from kvclient.contract import calls
from kvclient.contract.calls import Call
from kvclient.contract.endpoint import Target, tcp_address
from kvclient.contract.errors import DaemonUnavailableError, DataStoreError, RequestTimeoutError
from kvclient.contract.ownership import check_safe
from kvclient.recipes.async_face import AsyncRecipes

T = TypeVar("T")

MOST_CONNECTIONS = 64
"""Requests of one client that are under way at a time; more wait for their turn. So many share a sync of the disk, and
more would only take more descriptors of both sides."""


# One context for each process, and never one from before a fork.
_contexts: dict[int, "zmq.Context[zmq.Socket[bytes]]"] = {}
# Sockets from before a fork, which are the parent's: neither to be closed here nor to be complained of.
_inherited: list["zmq.asyncio.Socket | None"] = []


def _context() -> "zmq.Context[zmq.Socket[bytes]]":
    pid = getpid()
    if pid not in _contexts:
        context = _contexts[pid] = zmq.Context()
        context.set(zmq.MAX_SOCKETS, context.get(zmq.SOCKET_LIMIT))  # descriptors are limit enough
    return _contexts[pid]


class AsyncConnection(Line):
    """A connection for one request at a time. It connects when it is first used."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._socket: zmq.asyncio.Socket | None = None

    async def ask(
        self,
        request: bytes,
        started: float,
        timeout: float,  # noqa: ASYNC109  # of all attempts
        *,
        changes: bool,
        wait: float = 0.0,
    ) -> bytes:
        """Return the reply to `request`; see `Connection.ask`. `started` is when the caller began to wait."""
        if changes:
            request = self.identify(request)
        if self._answered:
            left = started + timeout + wait - time.monotonic()
            reply = await self._exchange(request, min(FIRST_RETRY_SECONDS + wait, left), parked=wait > 0)
            if reply is not None:
                return reply
        sent = self._answered
        steps = attempts(self._target, started, timeout, changes=changes, answered=self._answered, wait=wait)
        while True:
            # To look whether another host accepts connections blocks; a Unix socket tells at once.
            step = next(steps) if self._target.socket is not None else await asyncio.to_thread(next, steps)
            if not isinstance(step, Exchange):
                await asyncio.sleep(step.seconds)
                continue
            try:
                reply = await self._exchange(request, step.seconds, parked=wait > 0)
            except DaemonUnavailableError as error:
                raise (went_away(error, changes=changes) if sent else error) from None
            if reply is not None:
                self._answered = True
                return reply
            sent = True

    async def _exchange(self, request: bytes, seconds: float, *, parked: bool) -> bytes | None:
        """Return the reply; None if none came in time, or if `parked` as soon as the line is lost."""
        socket = self._socket or self._open()
        try:
            async with asyncio.timeout(seconds):
                if parked:
                    return await ask_unless_lost(socket, _context(), request)
                await socket.send(request)
                reply: bytes = await socket.recv()
        except BaseException as error:
            # Too late, or cancelled: the reply that may still come must not be handed to the next request.
            self.close()
            if isinstance(error, TimeoutError | LineLost):
                return None
            raise
        return reply

    def _open(self) -> zmq.asyncio.Socket:
        endpoint = self._target.endpoint
        if self._target.socket is not None:
            # libzmq connects in a thread of its own, again and again, and sends before anybody can ask who listens.
            # So nobody else may be able to listen there: then only this user and root can.
            try:
                check_safe(self._target.socket.parent)
            except (FileNotFoundError, NotADirectoryError):
                pass  # it is gone: then nobody listens
            except DataStoreError:
                raise
            except OSError as error:
                raise DaemonUnavailableError(f"The daemon on {endpoint} cannot be reached: {error}.") from None
        ipv6 = self._target.socket is None and ":" in tcp_address(endpoint)[0]
        try:
            socket = self._socket = zmq.asyncio.Socket(_context(), zmq.REQ)
        except zmq.ZMQError as error:  # no more descriptors, say
            raise DaemonUnavailableError(f"The daemon on {endpoint} cannot be reached: {error}.") from None
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IPV6, ipv6)  # with it libzmq would try the IPv6 address only of a host that has both
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise DataStoreError(f"The endpoint {endpoint!r} cannot be used: {error}.") from None
        return socket

    def close(self) -> None:
        """Disconnect. The next request connects again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __del__(self) -> None:
        if self.pid == getpid():
            self.close()
        else:
            _inherited.append(self._socket)


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
        if self._closed:
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
        started, timeout = time.monotonic(), self.timeout
        try:
            async with asyncio.timeout(timeout):
                await pool.turn.acquire()
        except TimeoutError:
            raise RequestTimeoutError(
                f"{MOST_CONNECTIONS} requests to {self.endpoint} were under way for {timeout:g} s, and this one "
                "was not sent. Nothing was changed."
            ) from None
        connection = pool.take(self._target)
        try:
            return await connection.ask(call.request, started, timeout, changes=call.changes)
        finally:
            pool.put_back(connection)
            pool.turn.release()

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
