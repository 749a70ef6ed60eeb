"""A connected socket in an event loop: requests out, replies in, one at a time.

On the loop's `add_reader`, not on transports: a transport closes a moment after it was told to, so that calls that are
cancelled would take twice the descriptors; one whose loop has ended cannot be closed at all; and after a fork it would
end the parent's. docs/performance.md has the rates of both.
"""

import asyncio
import socket
import sys
import time
from os import getpid

from kvclient.client.line import HandshakeLost, LineLost, no_kvd
from kvclient.contract.errors import RequestError
from kvclient.contract.zmtp import Conversation, Encryption, ProtocolError


class Channel:
    """A connection from its first byte on. It belongs to the process and the event loop that made it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connected: socket.socket,
        endpoint: str,
        encryption: Encryption | None = None,
    ) -> None:
        """`connected` must not block. The channel closes it."""
        self.closed = False
        self.request_sent = False
        """Whether the request that was asked last has been sent to its end."""
        self.hung_up = False
        """Whether the peer hung up before it had been."""
        self._pid = getpid()
        self._loop = loop
        self._socket = connected
        self._fd = connected.fileno()
        self._endpoint = endpoint
        self._conversation = Conversation(b"REQ", sys.maxsize, encryption)
        self._request: bytes | None = None
        """What is to be sent as soon as the peer has introduced itself."""
        self._unsent: memoryview | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._seconds, self._until, self._deadline = 0.0, 0.0, 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        loop.add_reader(self._fd, self._receive)
        self._send_outgoing()

    def ask(self, request: bytes, seconds: float, deadline: float) -> "asyncio.Future[bytes]":
        """Send a request, and return what its reply will be in.

        Raises there `LineLost` when the connection is lost, when nothing gets through for so many seconds, or at the
        `deadline` (monotonic), and `DataStoreError` if the peer is no kvd. After any of these, or if the caller has not
        waited to the end, the channel is to be closed: a reply that still comes must not be taken for the next one's.
        """
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self.request_sent = False
        if self.closed:  # before the peer was told a word
            answer.set_exception(LineLost())
            return answer
        self._answer = answer
        self._seconds, self._deadline = seconds, deadline
        self._see_progress()
        if self._timer is None or self._until < self._timer_at:
            self._set_timer()
        if self._conversation.established:
            self._send_request(request)
        else:
            self._request = request
        return answer

    def close(self) -> None:
        """Disconnect at once. Whoever waits for a reply gets `LineLost`."""
        self._end(LineLost())

    def _end(self, error: Exception) -> None:
        if self.closed:
            return
        self.closed = True
        # The child of a fork has a copy of the descriptor; what it does to the loop's epoll happens to the parent's.
        if self._pid == getpid() and not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            if self._timer is not None:
                self._timer.cancel()
        self._timer = None
        self._socket.close()
        self._conversation.end()
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done() and not self._loop.is_closed():
            answer.set_exception(error)

    def _receive(self) -> None:
        """Take what came."""
        try:
            data = self._socket.recv(self._conversation.wanted)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        except MemoryError as error:
            self._end(error)
            return
        if not data:
            self._hang_up()
            return
        try:
            self._take(data)
        except (ProtocolError, RequestError) as error:
            self._end(no_kvd(self._endpoint, error, self._conversation))

    def _take(self, data: bytes) -> None:
        conversation = self._conversation
        while (reply := conversation.receive(data)) is not None:
            answer, self._answer = self._answer, None
            if answer is None:
                raise ProtocolError("answers without being asked")
            if not answer.done():
                answer.set_result(reply)
            if conversation.wanted:
                return
            data = b""
        if conversation.under_way:
            self._see_progress()
        if conversation.outgoing:  # the answer to a PING, which is no part of a reply
            self._send_outgoing()
        if self._request is not None and conversation.established and not self.closed:
            request, self._request = self._request, None
            self._send_request(request)

    def _send_request(self, request: bytes) -> None:
        self.request_sent = self._send(self._conversation.message(request))

    def _send_outgoing(self) -> None:
        outgoing, self._conversation.outgoing = self._conversation.outgoing, b""
        self._send(outgoing)

    def _send(self, data: bytes) -> bool:
        """Send, what the socket does not take now as soon as it does; tell whether it took all."""
        if self._unsent is not None:
            self._unsent = memoryview(bytes(self._unsent) + data)
            return False
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._end(LineLost())
            return False
        if sent == len(data):
            return True
        self._unsent = memoryview(data)[sent:]
        self._loop.add_writer(self._fd, self._send_on)
        return False

    def _send_on(self) -> None:
        assert self._unsent is not None
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._hang_up()
            return
        self._see_progress()
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._unsent = None
            self._loop.remove_writer(self._fd)
            self.request_sent = self._request is None

    def _hang_up(self) -> None:
        self.hung_up = self._request is None and self._unsent is not None
        self._end(LineLost() if self._conversation.established else HandshakeLost())

    def _see_progress(self) -> None:
        self._until = min(time.monotonic() + self._seconds, self._deadline)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._until
        self._timer = self._loop.call_later(max(0.0, self._until - time.monotonic()), self._look_at_time)

    def _look_at_time(self) -> None:
        # One timer serves many requests: to set one for each would cost more than to send it.
        self._timer = None
        if self._answer is None or self._answer.done():
            return
        if time.monotonic() >= self._until:
            self._end(LineLost())
        else:
            self._set_timer()
