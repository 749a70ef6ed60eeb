"""The connections: who is there, who has asked, whose reply has to wait.

A peer has one request under way at a time. While it has, nothing more is received from it: what it sends waits in the
kernel's buffer, and then with itself. So whatever a peer does, it takes a bounded part of the daemon's memory and no
other peer's time.
"""

import errno
import logging
import os
import select
import socket
import time

from kvclient.contract.errors import RequestError
from kvclient.contract.zmtp import Conversation, ProtocolError
from kvd.server.worker import Wakeup

log = logging.getLogger(__name__)

_ACCEPTED = 64
"""Connections accepted before those that are there are served again."""
_SPIN_SECONDS = 0.00015
"""So long the next request is looked for before the process goes to sleep; see docs/performance.md."""
_HANDSHAKE_SECONDS = 30.0
"""So long a peer may take to show that it is a ZeroMQ socket. libzmq's default."""
_TIDY_SECONDS = 0.5
_LINGER_SECONDS = 1.0
"""So long replies that peers have not taken yet are waited for at the end."""
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_IN, _OUT = select.EPOLLIN, select.EPOLLOUT


class Connection:
    """A peer, from its greeting to its end."""

    def __init__(self, owner: "Connections", peer: socket.socket, most_bytes: int) -> None:
        self._owner = owner
        self._socket = peer
        self._conversation = Conversation(b"REP", most_bytes)
        self._unsent: memoryview | None = None
        self.fd = peer.fileno()
        """-1 once it is closed."""
        self.watched = 0
        """The events that the owner looks for; 0: the connection is not among those that it looks at."""
        self.waiting = False
        """Whether a request of the peer is under way."""
        self._send_more()

    @property
    def established(self) -> bool:
        """Whether the peer has shown that it is a ZeroMQ socket."""
        return self._conversation.established

    @property
    def blocked(self) -> bool:
        """Whether the peer has not taken all that was sent."""
        return self._unsent is not None

    def receive(self) -> bytes | None:
        """Receive, and return the request if one is whole now. Raises `RequestError` for a message that is none.

        After either nothing more is received until `reply`.
        """
        if self.waiting or self.fd < 0:  # `poll` may return it twice: something of it is here, and more has come
            return None
        conversation = self._conversation
        try:
            data = b""
            if wanted := conversation.wanted:
                data = self._socket.recv(wanted)
                if not data:
                    raise ConnectionResetError
            request = conversation.receive(data)
            self.waiting = request is not None
        except RequestError:
            self.waiting = True
            raise
        except BlockingIOError:
            return None
        except OSError:
            self.close()
            return None
        except ProtocolError as error:
            log.info("dropped a connection: its peer %s", error)
            self.close()
            return None
        if conversation.outgoing:
            self._send_more()
        return request

    def reply(self, body: bytes) -> None:
        """Answer the request that was received last. If the peer is gone, nobody hears it."""
        self.waiting = False
        if self.fd >= 0:
            self._send(self._conversation.message(body))

    def flush(self) -> None:
        """Send what the peer did not take before."""
        self._send(b"")

    def _send_more(self) -> None:
        """Send what the protocol asks for besides replies."""
        outgoing, self._conversation.outgoing = self._conversation.outgoing, b""
        self._send(outgoing)

    def _send(self, data: bytes) -> None:
        unsent = data if self._unsent is None else bytes(self._unsent) + data
        try:
            sent = self._socket.send(unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        if sent < len(unsent):
            self._unsent = memoryview(unsent)[sent:]
            self._owner.watch(self, _OUT)
            return
        self._unsent = None
        if self.watched != _IN:
            self._owner.watch(self, _IN)
        if not self._conversation.wanted and not self.waiting:
            self._owner.look_again(self)

    def close(self) -> None:
        """Disconnect. A request that is under way is carried out all the same."""
        if self.fd >= 0:
            self._owner.forget(self)
            self.fd = -1
            self._socket.close()
            self._conversation.end()


class Connections:
    """All peers, and the socket on which more of them come."""

    def __init__(self, listener: socket.socket, wakeup: Wakeup, *, most_bytes: int) -> None:
        """`poll` also handles `wakeup`. A peer that sends more than `most_bytes` at a time is disconnected."""
        self._listener = listener
        self._wakeup = wakeup
        self._most_bytes = most_bytes
        self._epoll = select.epoll()
        self._epoll.register(wakeup.fd, _IN)
        self._epoll.register(listener, _IN)
        self._listening = True
        self._connections: dict[int, Connection] = {}
        self._again: list[Connection] = []
        self._strangers: dict[Connection, float] = {}
        self._tidy_at = 0.0
        self._several_cores = len(os.sched_getaffinity(0)) > 1
        self._active = False

    def poll(self, timeout: float, *, requests: bool = True, spin: bool = False) -> list[Connection]:
        """Wait for up to `timeout` seconds, and return the connections to receive from; without `requests`, none.

        `spin` allows to look for requests for a moment without going to sleep.
        """
        if not requests:
            if select.select([self._wakeup.fd], [], [], timeout)[0]:
                self._wakeup.handle()
            return []
        if time.monotonic() >= self._tidy_at:
            self._tidy()
        ready, self._again = self._again, []
        for fd, _ in self._wait(0 if ready else timeout, spin=spin and self._active):
            connection = self._connections.get(fd)
            if connection is None:
                if fd == self._wakeup.fd:
                    self._wakeup.handle()
                else:
                    self._accept()
            elif connection.waiting:  # its peer has sent more, or is gone, of which epoll tells whether asked or not
                self.watch(connection, 0)
            elif connection.blocked:
                connection.flush()
            else:
                ready.append(connection)
        if ready or timeout > 0:
            self._active = bool(ready)
        return ready

    def _wait(self, timeout: float, *, spin: bool) -> list[tuple[int, int]]:
        """Return the events of the next `timeout` seconds."""
        if spin and timeout > 0 and self._several_cores:
            until = time.monotonic() + _SPIN_SECONDS
            while time.monotonic() < until:
                if events := self._epoll.poll(0):
                    return events
                os.sched_yield()  # to whoever has something to do
        return self._epoll.poll(timeout)

    def look_again(self, connection: Connection) -> None:
        """Have the next `poll` return the connection, as something of its next request is there already."""
        self._again.append(connection)

    def watch(self, connection: Connection, events: int) -> None:
        """Look for `events` of the connection from now on; 0: for nothing, not even its end."""
        if events == connection.watched:
            return
        if connection.watched == 0:
            self._epoll.register(connection.fd, events)
        elif events == 0:
            self._epoll.unregister(connection.fd)
        else:
            self._epoll.modify(connection.fd, events)
        connection.watched = events

    def forget(self, connection: Connection) -> None:
        """Do no more for a connection that is about to close."""
        self.watch(connection, 0)
        self._connections.pop(connection.fd, None)
        self._strangers.pop(connection, None)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED):
            try:
                peer, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    log.warning("no more connections can be accepted for now: %s", error)
                    self._epoll.unregister(self._listener)
                    self._listening = False
                return
            peer.setblocking(False)
            if peer.family != socket.AF_UNIX:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection = Connection(self, peer, self._most_bytes)
            if connection.fd >= 0:
                self._connections[connection.fd] = connection
                self._strangers[connection] = time.monotonic() + _HANDSHAKE_SECONDS

    def _tidy(self) -> None:
        """Now and then: drop who connected and does not speak, and accept again."""
        now = time.monotonic()
        self._tidy_at = now + _TIDY_SECONDS
        for connection, deadline in list(self._strangers.items()):
            if connection.established:
                del self._strangers[connection]
            elif now >= deadline:
                connection.close()
        if not self._listening:
            self._epoll.register(self._listener, _IN)
            self._listening = True

    def close(self) -> None:
        """Disconnect all, after a moment for those that have not yet taken their replies."""
        deadline = time.monotonic() + _LINGER_SECONDS
        while blocked := [connection for connection in self._connections.values() if connection.blocked]:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            poll = select.poll()
            for connection in blocked:
                poll.register(connection.fd, select.POLLOUT)
            poll.poll(left * 1000)
            for connection in blocked:
                connection.flush()
        for connection in list(self._connections.values()):
            connection.close()
        self._epoll.close()
        self._listener.close()
