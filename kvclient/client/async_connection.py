"""One line to the daemon for an event loop: what `Connection` is for a thread."""

import asyncio
import socket
import time

from kvclient.client.attempts import FIRST_RETRY_SECONDS, Exchange, attempts
from kvclient.client.channel import Channel
from kvclient.client.line import CONNECT_SECONDS, Line, LineLost, Socket, UnreachableError
from kvclient.contract.endpoint import Target, tcp_address
from kvclient.contract.ownership import check_peer


class AsyncConnection(Line):
    """A connection for one request at a time. It connects when it is first used."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._channel: Channel | None = None

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
        self._sent = False
        if changes:
            request = self.identify(request)
        try:
            if self._answered:  # and mostly does so again: the plan is for when it does not
                reply = await self._exchange(request, FIRST_RETRY_SECONDS + wait, started + timeout + wait)
                if reply is not None:
                    return reply
            return await self._attempt(request, started, timeout, changes=changes, wait=wait)
        except UnreachableError as error:
            raise self._unavailable(error, changes=changes) from None

    async def _attempt(
        self,
        request: bytes,
        started: float,
        timeout: float,  # noqa: ASYNC109  # of all attempts
        *,
        changes: bool,
        wait: float,
    ) -> bytes:
        self._hang_ups = 0
        steps = attempts(self._target, started, timeout, changes=changes, answered=self._answered, wait=wait)
        while True:
            # To look whether another host accepts connections blocks; a Unix socket tells at once.
            step = next(steps) if self._target.socket is not None else await asyncio.to_thread(next, steps)
            if not isinstance(step, Exchange):
                await asyncio.sleep(step.seconds)
                continue
            deadline = time.monotonic() + step.seconds + timeout if wait else started + timeout
            if (reply := await self._exchange(request, step.seconds, deadline)) is not None:
                self._answered = True
                return reply
            self._check_hang_ups(request)

    async def _exchange(self, request: bytes, seconds: float, deadline: float) -> bytes | None:
        """Return the reply; None if the connection was lost, or nothing got through for so many seconds."""
        channel = self._channel
        try:
            if channel is None or channel.closed:
                channel = self._channel = await self._open(deadline)
            return await channel.ask(request, seconds, deadline)
        except BaseException as error:
            # Too late, or cancelled: the reply that may still come must not be handed to the next request.
            if channel is not None:
                self._sent = self._sent or channel.request_sent
                self._hang_ups += channel.hung_up
            self.close()
            self._check_handshakes(error)
            if isinstance(error, LineLost):
                return None
            raise

    async def _open(self, deadline: float) -> Channel:
        seconds = min(CONNECT_SECONDS, deadline - time.monotonic())
        if seconds <= 0:
            raise LineLost
        encryption = self._encryption()
        loop, path = asyncio.get_running_loop(), self._target.socket
        try:
            if path is not None:
                connected = _connect(str(path))
            else:
                async with asyncio.timeout(deadline - time.monotonic()):
                    connected = await _connect_tcp(loop, *tcp_address(self._target.endpoint), seconds)
        except OSError as error:  # TimeoutError is one
            raise self._not_connected(error) from None
        try:
            if path is not None:
                check_peer(connected, path, named=not self._target.has_default_endpoint)  # before a byte is sent
            else:
                self._check_loopback(connected)
            return Channel(loop, connected, self._target.endpoint, encryption)
        except BaseException:
            connected.close()
            raise

    def close(self) -> None:
        """Disconnect. The next request connects again."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def __del__(self) -> None:
        self.close()


def _connect(path: str) -> socket.socket:
    # Not the loop's sock_connect: a Unix socket connects at once or, while too many others do, not at all. To wait for
    # it to become writable, as the loop does, takes the second for the first.
    connecting = Socket(socket.AF_UNIX)
    try:
        connecting.setblocking(False)
        connecting.connect(path)
    except BaseException:
        connecting.close()
        raise
    return connecting


async def _connect_tcp(loop: asyncio.AbstractEventLoop, host: str, port: int, seconds: float) -> socket.socket:
    """Connect to the first of the host's addresses that accepts it in so many seconds. Raises the error of the last."""
    failure = OSError()
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connecting = Socket(family, kind, protocol)
        try:
            connecting.setblocking(False)
            async with asyncio.timeout(seconds):
                await loop.sock_connect(connecting, address)
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connecting.close()
            failure = error
        except BaseException:
            connecting.close()
            raise
        else:
            return connecting
    raise failure
