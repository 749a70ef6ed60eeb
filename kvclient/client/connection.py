"""One line to the daemon: a request goes out and its reply comes back, whatever happens to the daemon meanwhile."""

import os
import select
import socket
import sys
import threading
import time
from typing import Any

from kvclient.client.attempts import FIRST_RETRY_SECONDS, Exchange, attempts
from kvclient.client.line import CONNECT_SECONDS, HandshakeLost, Line, LineLost, Socket, UnreachableError, no_kvd
from kvclient.contract.endpoint import Target, tcp_address
from kvclient.contract.errors import RequestError
from kvclient.contract.ownership import check_peer
from kvclient.contract.zmtp import Conversation, ProtocolError

_SPIN_SECONDS = 0.0003
"""So long a reply is looked for before the process goes to sleep; see docs/performance.md."""
_SLOW_SECONDS, _REST = 0.002, 16
"""After a reply that took longer than this, so many are waited for asleep: looking for them is of no use."""
_SEVERAL_CORES = len(os.sched_getaffinity(0)) > 1


class Connection(Line):
    """A connection for one thread of one process. It connects when it is first used."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._socket: socket.socket | None = None
        self._poll: select.poll
        self._conversation: Conversation
        self._resting = 0
        """So many more replies are waited for asleep."""
        self.busy = False
        """Whether a request is under way. Who asks in the midst of it, as a signal handler may, needs another line."""

    def ask(self, request: bytes, timeout: float, *, changes: bool, wait: float = 0.0) -> bytes:
        """Return the reply to `request`, which is repeated until one comes; one that `changes` the store gets an id.

        For `wait` seconds the daemon may hold back the reply. Raises `DaemonUnavailableError` or `RequestTimeoutError`
        `timeout` seconds after that, `RequestError` for a request that is larger than the daemon takes,
        `AccessDeniedError` if another user listens there.
        """
        self.busy = True
        self._sent = False
        try:
            if changes:
                request = self.identify(request)
            started = time.monotonic()
            if self._answered:  # and mostly does so again: the plan is for when it does not
                reply = self._exchange(request, FIRST_RETRY_SECONDS + wait, started + timeout + wait)
                if reply is not None:
                    return reply
            return self._attempt(request, started, timeout, changes=changes, wait=wait)
        except UnreachableError as error:
            raise self._unavailable(error, changes=changes) from None
        finally:
            self.busy = False

    def _attempt(self, request: bytes, started: float, timeout: float, *, changes: bool, wait: float) -> bytes:
        self._hang_ups = 0
        for step in attempts(self._target, started, timeout, changes=changes, answered=self._answered, wait=wait):
            if not isinstance(step, Exchange):
                time.sleep(step.seconds)
                continue
            # Some of what is received late is part of a reply; without `wait` the time for all attempts bounds it.
            deadline = time.monotonic() + step.seconds + timeout if wait else started + timeout
            if (reply := self._exchange(request, step.seconds, deadline)) is not None:
                self._answered = True
                return reply
            self._check_hang_ups(request)
        raise AssertionError("attempts end with a reply or an error")

    def _exchange(self, request: bytes, seconds: float, deadline: float) -> bytes | None:
        """Return the reply; None if the connection was lost, or nothing got through for so many seconds."""
        try:
            connected = self._socket or self._open(deadline)
            conversation = self._conversation
            while not conversation.established:
                self._receive(connected, seconds, deadline)
            self._send(connected, conversation.message(request), seconds, deadline)
            self._sent = True
            while (reply := self._receive(connected, seconds, deadline)) is None:
                if conversation.outgoing:  # the answer to a PING, which is no part of a reply
                    deadline = min(deadline, time.monotonic() + seconds)
        except BaseException as error:
            # Too late, or Ctrl-C: the reply that may still come must not be taken for that to another request.
            self.close()
            self._check_handshakes(error)
            if isinstance(error, LineLost):
                return None
            raise
        return reply

    def _receive(self, connected: socket.socket, seconds: float, deadline: float) -> bytes | None:
        """Return the reply if it is whole, and see to what the protocol asks for besides."""
        conversation = self._conversation
        if conversation.outgoing:
            outgoing, conversation.outgoing = conversation.outgoing, b""
            self._send(connected, outgoing, seconds, deadline)
        data = b""
        if wanted := conversation.wanted:
            self._wait(seconds, deadline)
            try:
                data = connected.recv(wanted)
            except OSError:
                data = b""
            if not data:
                raise LineLost if conversation.established else HandshakeLost
        try:
            return conversation.receive(data)
        except (ProtocolError, RequestError) as error:
            raise no_kvd(self._target.endpoint, error, conversation) from None

    def _send(self, connected: socket.socket, data: bytes, seconds: float, deadline: float) -> None:
        try:
            sent = connected.send(data)
        except OSError:
            raise LineLost from None
        while sent < len(data):
            self._poll.modify(connected, select.POLLOUT)
            self._wait(seconds, deadline)
            self._poll.modify(connected, select.POLLIN)
            try:
                sent += connected.send(memoryview(data)[sent:])
            except OSError:
                self._hang_ups += 1
                raise LineLost from None

    def _wait(self, seconds: float, deadline: float) -> None:
        # Not in recv with a timeout: that is one more system call for each request.
        now = time.monotonic()
        if self._resting:
            self._resting -= 1
        elif seconds == FIRST_RETRY_SECONDS and _SEVERAL_CORES and threading.active_count() == 1 and self._spin(now):
            return
        left = deadline - now
        if left <= 0 or not self._poll.poll(1000 * min(seconds, left)):
            raise LineLost
        if time.monotonic() - now > _SLOW_SECONDS:
            self._resting = _REST

    def _spin(self, now: float) -> bool:
        """Look for the reply for a moment without going to sleep; tell whether it is there.

        Only where nothing else is kept from running by that: other threads of the process would wait for the
        interpreter lock, and whoever wants the core is given it.
        """
        until = now + _SPIN_SECONDS
        while not self._poll.poll(0):
            if time.monotonic() > until:
                return False
            os.sched_yield()
        return True

    def _open(self, deadline: float) -> socket.socket:
        path = self._target.socket
        address: Any = str(path) if path is not None else tcp_address(self._target.endpoint)
        seconds = min(CONNECT_SECONDS, deadline - time.monotonic())
        if seconds <= 0:
            raise LineLost
        self._conversation = Conversation(
            b"REQ", sys.maxsize, self._encryption()
        )  # first, as `close` ends it with the socket
        try:
            if path is not None:
                connected = self._socket = Socket(socket.AF_UNIX)
                connected.settimeout(seconds)
                connected.connect(address)
            else:
                connected = self._socket = Socket(fileno=socket.create_connection(address, seconds).detach())
                connected.settimeout(seconds)
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise self._not_connected(error) from None
        if path is not None:
            check_peer(connected, path, named=not self._target.has_default_endpoint)  # before a byte is sent
        else:
            self._check_loopback(connected)
        connected.setblocking(False)
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)
        return connected

    def close(self) -> None:
        """Disconnect. The next request connects again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._conversation.end()

    def __del__(self) -> None:
        self.close()
