"""ZeroMQ's protocol on a listening socket of our own: who is there, who has asked, whose reply has to wait.

A peer has one request under way at a time. While it has, nothing more is received from it: what it sends waits in the
kernel's buffer, and then with itself. Large requests of all peers together have a bounded part of the daemon's memory:
whoever comes when that is taken waits until some are answered. And who begins a request and does not go on with it is
disconnected. So whatever a peer does, it takes no other peer's time.
"""

import errno
import logging
import select
import socket
import time
from collections import deque

from kvclient.contract.errors import RequestError
from kvclient.contract.zmtp import Conversation, MessageTooLargeError, ProtocolError, command_at
from kvd.memory import give_back
from kvd.processes import identity
from kvd.server.peers import Peer, Peers
from kvd.server.poller import GONE, HUNG_UP, IN, OUT, Poller
from kvd.server.rights import Rights
from kvd.server.transport.refusals import DENIED_BYTES, DENIED_SECONDS, MOST_DENIED, too_large

log = logging.getLogger(__name__)

_ACCEPTED = 64
"""Connections accepted before those that are there are served again."""
_HANDSHAKE_SECONDS = 30.0
"""So long a peer may take to show that it is a ZeroMQ socket. libzmq's default."""
_TIDY_SECONDS = 0.5
_STALLED_SECONDS = 10.0
"""So long a peer may pause in the middle of a request."""
_LARGE_BYTES, _MOST_LARGE_BYTES = 64 * 1024, 64 << 20
"""Requests of more bytes count as large; and so many bytes all large requests under way may have, unless it is one."""
_SHORT_COMMAND_BYTES = 257
_LINGER_SECONDS = 1.0
"""So long replies that peers have not taken yet are waited for at the end."""
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Connection(Peer):
    """A peer that connected to the listening socket."""

    def __init__(self, owner: "Native", peer: socket.socket, peers: Peers, most_bytes: int) -> None:
        # Its identity now, as the request of a peer that has hung up is carried out all the same.
        super().__init__(peers, identity(peer))
        self._owner = owner
        self._socket = peer
        self._conversation = Conversation(b"REP", most_bytes)
        self._most_bytes = most_bytes
        self._unsent: memoryview | None = None
        self.fd = peer.fileno()
        """-1 once it is closed."""
        self.watched = 0
        """The events that the owner looks for; 0: the connection is not among those that it looks at."""
        self.held = False
        """Whether the peer has to wait until there is room for its large request."""
        self.large = 0
        """Bytes that the peer has of what is for large requests; see `Native.admit`."""
        self.progress_at = 0.0
        """When something of a request came last, on the monotonic clock; 0.0: no request has begun."""
        self._send_more()

    @property
    def established(self) -> bool:
        """Whether the peer has shown that it is a ZeroMQ socket."""
        return self._conversation.established

    @property
    def blocked(self) -> bool:
        """Whether the peer has not taken all that was sent."""
        return self._unsent is not None

    def allow(self, rights: Rights | None) -> None:
        """See `Peer.allow`. Who has no right to anything gets little room, and not for long."""
        super().allow(rights)
        self._conversation.most_bytes = DENIED_BYTES if self.is_denied else self._most_bytes
        if self.is_denied:
            self._owner.limit(self)
        else:
            self._owner.no_longer_denied(self)

    def see(self, events: int, ready: list[Peer]) -> None:
        """Do what the events of the connection ask for; if that is to receive, tell so by `ready`."""
        if self.waiting or self.held:  # its peer has sent more, or is gone
            if events & HUNG_UP:
                self.close()
            elif not self._heed_command():
                self._owner.watch(self, GONE)
        elif self.blocked:
            self.flush()
        else:
            ready.append(self)

    def receive(self) -> bytes | None:
        """See `Peer.receive`."""
        # `poll` may return a connection twice: something of it is here, and more has come.
        if self.waiting or self.held or self.fd < 0:
            return None
        conversation = self._conversation
        try:
            request = self._take()
        except (RequestError, MessageTooLargeError) as error:
            self.waiting = True
            self.progress_at = 0.0
            self._owner.had_large = True
            if isinstance(error, MessageTooLargeError):
                raise (self.denial() or too_large(error.size, error.head, self._most_bytes)) from None
            raise
        if conversation.outgoing:
            self._send_more()
        if request is not None:
            self.waiting = True
            self.progress_at = 0.0
        elif (size := conversation.under_way) and conversation.established and self.fd >= 0:
            self.progress_at = time.monotonic()
            if size > _LARGE_BYTES and not self.large:
                self._owner.admit(self, min(size, self._most_bytes))
        return request

    def _heed_command(self) -> bool:
        """Heed a command that comes while a request is under way, a PING say; tell whether it was one."""
        conversation = self._conversation
        try:
            data = b"" if conversation.under_way else self._socket.recv(_SHORT_COMMAND_BYTES, socket.MSG_PEEK)
            if not (size := command_at(data)):
                return False
            conversation.receive(self._socket.recv(size))
        except OSError:
            self.close()
        except ProtocolError as error:
            self._give_up(error)
        if conversation.outgoing and self.fd >= 0:
            self._send_more()
        return True

    def _give_up(self, error: ProtocolError) -> None:
        log.info("dropped a connection: its peer %s", error)
        if not self._conversation.established:
            self._send(self._conversation.error(f"this peer {error}"))
        self.close()

    def _take(self) -> bytes | None:
        """Receive some bytes, and return the request if one is whole. Closes what cannot go on."""
        conversation = self._conversation
        try:
            data = b""
            if wanted := conversation.wanted:
                data = self._socket.recv(wanted)
                if not data:
                    raise ConnectionResetError
            return conversation.receive(data)
        except BlockingIOError:
            return None
        except OSError:
            self.close()
        except MemoryError:
            log.warning("dropped a connection: there is no memory for the request that its peer is sending")
            self.close()
        except ProtocolError as error:
            self._give_up(error)
        return None

    def reply(self, body: bytes) -> None:
        """See `Peer.reply`."""
        self.waiting = False
        if self.large:
            self._owner.release(self)
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
            self._owner.watch(self, OUT)
            return
        self._unsent = None
        if self.watched != IN:
            self._owner.watch(self, IN)
        if not self._conversation.wanted and not self.waiting:
            self._owner.poller.look_again(self)

    def close(self) -> None:
        """Disconnect. A request that is under way is carried out all the same."""
        if self.fd >= 0:
            self._owner.forget(self)
            self.fd = -1
            self._socket.close()
            self._conversation.end()


class Native:
    """All peers of a listening socket, and the socket itself."""

    def __init__(self, listener: socket.socket, poller: Poller, peers: Peers, *, most_bytes: int) -> None:
        """A peer that sends more than `most_bytes` at a time is refused, or disconnected."""
        self._listener = listener
        self._listening = True
        self.poller = poller
        self._peers = peers
        self._most_bytes = most_bytes
        self._connections: set[Connection] = set()
        self._strangers: dict[Connection, float] = {}
        self._denied: set[Connection] = set()
        """Those who have no right to anything."""
        self._large_bytes = 0
        self._held: deque[tuple[Connection, int]] = deque()
        """Those who wait until there is room for their large request, and its bytes."""
        self.had_large = False
        """Whether there was a large request since memory was given back."""
        poller.add(listener.fileno(), IN, self._accept)
        poller.every(_TIDY_SECONDS, self._tidy)

    def watch(self, connection: Connection, events: int) -> None:
        """Look for `events` of the connection from now on; 0: for nothing, not even its end."""
        if events == connection.watched:
            return
        if connection.watched == 0:
            self.poller.add(connection.fd, events, connection.see)
        elif events == 0:
            self.poller.remove(connection.fd)
        else:
            self.poller.change(connection.fd, events)
        connection.watched = events

    def forget(self, connection: Connection) -> None:
        """Do no more for a connection that is about to close."""
        self.watch(connection, 0)
        self._connections.discard(connection)
        self._strangers.pop(connection, None)
        self._denied.discard(connection)
        if connection.large:
            self.release(connection)
        self._peers.remove(connection)

    def limit(self, connection: Connection) -> None:
        """Disconnect a peer in a while, unless it proves to be a ZeroMQ socket with a right to something."""
        self._strangers[connection] = time.monotonic() + DENIED_SECONDS
        if connection.is_denied:
            self._denied.add(connection)
            if len(self._denied) > MOST_DENIED:
                connection.close()

    def no_longer_denied(self, connection: Connection) -> None:
        """Count a peer no more among those who have no right to anything."""
        self._denied.discard(connection)

    def admit(self, connection: Connection, size: int) -> None:
        """Let a peer go on with a large request, now or when there is room for it."""
        connection.large = size
        self.had_large = True
        if self._large_bytes and self._large_bytes + size > _MOST_LARGE_BYTES:
            self._held.append((connection, size))
            connection.held = True
            self.watch(connection, GONE)
        else:
            self._large_bytes += size

    def release(self, connection: Connection) -> None:
        """Take back what a large request had, and let others go on."""
        if connection.held:
            connection.held = False
            self._held = deque(entry for entry in self._held if entry[0] is not connection)
        else:
            self._large_bytes -= connection.large
        connection.large = 0
        while self._held and (not self._large_bytes or self._large_bytes + self._held[0][1] <= _MOST_LARGE_BYTES):
            admitted, size = self._held.popleft()
            admitted.held = False
            admitted.progress_at = time.monotonic()
            self._large_bytes += size
            self.watch(admitted, IN)

    def _accept(self, _events: int, _ready: list[Peer]) -> None:
        for _ in range(_ACCEPTED):
            try:
                peer, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    log.warning("no more connections can be accepted for now: %s", error)
                    self.poller.remove(self._listener.fileno())
                    self._listening = False
                return
            peer.setblocking(False)
            if peer.family != socket.AF_UNIX:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection = Connection(self, peer, self._peers, self._most_bytes)
            if connection.fd >= 0:
                self._connections.add(connection)
                self._strangers[connection] = time.monotonic() + _HANDSHAKE_SECONDS
                self._peers.add(connection)

    def _tidy(self) -> None:
        """Now and then: drop who connected and does not speak, and accept again."""
        now = time.monotonic()
        for connection, deadline in list(self._strangers.items()):
            if connection.established and not connection.is_denied:
                del self._strangers[connection]
            elif now >= deadline:
                connection.close()
        for connection in list(self._connections):
            if connection.progress_at and not connection.held and now - connection.progress_at > _STALLED_SECONDS:
                log.info("dropped a connection: its peer has not gone on with a request for %g s", _STALLED_SECONDS)
                connection.close()
        if self.had_large and not self._large_bytes:
            self.had_large = False
            give_back()
        if not self._listening:
            self.poller.add(self._listener.fileno(), IN, self._accept)
            self._listening = True

    def close(self) -> None:
        """Disconnect all, after a moment for those that have not yet taken their replies."""
        deadline = time.monotonic() + _LINGER_SECONDS
        while blocked := [connection for connection in self._connections if connection.blocked]:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            poll = select.poll()
            for connection in blocked:
                poll.register(connection.fd, select.POLLOUT)
            poll.poll(left * 1000)
            for connection in blocked:
                connection.flush()
        for connection in list(self._connections):
            connection.close()
        if self._listening:
            self.poller.remove(self._listener.fileno())
        self._listener.close()
