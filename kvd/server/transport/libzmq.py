"""libzmq's ROUTER socket as a transport: the reference for `native`, and what serves a network.

A ROUTER gives the messages of all its peers as they come, so what a peer sends ahead waits with its `Connection`. Who
is behind a message is told by the message's metadata. Who is gone is told by the socket's monitor, which names
descriptors only: a descriptor belongs to the connection that the monitor told of last, and a peer of which something is
received for the first time is looked up after all that the monitor knows by then. (ZMQ_ROUTER_NOTIFY would tell of
peers by their name; it is in no release.)

docs/network.md says where it differs from `native`.

See zmq_socket(3), zmq_setsockopt(3), zmq_socket_monitor(3), zmq_msg_gets(3).
"""

import contextlib
import logging
import os
import socket
import time
from collections import deque
from typing import NamedTuple, Self

import zmq
from zmq.utils.monitor import parse_monitor_message

from kvclient.contract.errors import DataStoreError
from kvclient.contract.zmtp import not_one_frame
from kvd.memory import give_back
from kvd.processes import Identity, identity, ticks_since_boot
from kvd.server.peers import Peer, Peers
from kvd.server.poller import IN, Poller
from kvd.server.rights import Rights
from kvd.server.transport.curve import Gatekeeper
from kvd.server.transport.refusals import DENIED_BYTES, DENIED_SECONDS, MOST_DENIED, too_large

log = logging.getLogger(__name__)

_ROUND = 64
"""Messages received before those that are there are served."""
_LARGER = 4
"""A message of more than so many times the largest request, and `_AHEAD_BYTES`, is not even refused: its peer is
disconnected."""
_AHEAD, _AHEAD_BYTES = 1000, 64 << 20
"""A peer may send so many requests, and bytes, before it is answered; one that sends more is disconnected. When all
together have sent so many bytes, nothing more is received until some of it is answered."""
_LARGE_BYTES, _MANY = 64 * 1024, 100
"""After a request that is larger, or so many connections that ended, memory is given back."""
_TIDY_SECONDS = 0.5
_COMPLAINT_SECONDS = 10.0
_BACKLOG_REQUESTS, _BACKLOG_REPLIES = 2, 100
"""Requests that libzmq keeps of a peer before they are received here; and replies that its peer does not take: then its
next request waits."""
_HEARTBEAT_SECONDS, _SILENT_SECONDS = 10, 30
"""A peer over a network is asked so often whether it is there, and disconnected when it has been silent for so long."""
_LINGER_SECONDS = 1.0
"""So long replies that peers have not taken yet are waited for at the end."""
_CREDENTIALS = 3
# As numbers, and without `recv_multipart` and `send_multipart`: that takes a third of the time.
_MORE = int(zmq.RCVMORE)
_AT_ONCE, _AND_MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)
_GENERATED = 0
"""The first byte of a name that the ROUTER gave; no peer can choose one like it."""


class _Origin(NamedTuple):
    """Where a message came from, as libzmq tells with it (zmq_msg_gets(3))."""

    fd: int
    address: str
    """On a Unix socket with who is there: `localhost:UID:GID:PID`."""
    public_key: bytes | None
    """The key that the peer has proved to own, in Z85."""

    @classmethod
    def of(cls, part: zmq.Frame, *, keyed: bool) -> Self:
        public_key = str(part.get("User-Id")).encode() if keyed else None
        return cls(int(part.get(zmq.SRCFD)), str(part.get("Peer-Address")), public_key)

    def identity(self, accepted: float | None) -> Identity | None:
        """Return who the kernel says it is; None over TCP."""
        if self.public_key is not None or self.address.count(":") != _CREDENTIALS:
            return None
        uid, gid, pid = map(int, self.address.split(":")[1:])
        groups: tuple[int, ...] = ()
        if accepted is not None:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.fd)) as there:
                found = identity(there)
                if found is not None and (found.pid, found.uid, found.gid) == (pid, uid, gid):
                    groups = found.groups
        return Identity(pid, uid, gid, ticks_since_boot() if accepted is None else accepted, groups)


class Connection(Peer):
    """A peer that has sent something."""

    def __init__(self, owner: "Libzmq", name: bytes, peers: Peers, origin: "_Origin", accepted: float | None) -> None:
        """`name` is what the ROUTER calls it. `accepted` is when, in clock ticks since the boot; None if it is gone."""
        super().__init__(peers, origin.identity(accepted))
        self.name = name
        self.origin = origin
        self.fd = -1 if accepted is None else origin.fd
        """The connection's descriptor, which is libzmq's; -1 if it is gone."""
        self._owner = owner
        self._ahead: deque[tuple[list[bytes], bytes | DataStoreError, int]] = deque()
        """The requests that wait, or what is wrong with them: envelope, request, bytes."""
        self._ahead_bytes = 0
        self._envelope: list[bytes] = []

    def allow(self, rights: Rights | None) -> None:
        """See `Peer.allow`. Who has no right to anything does not stay for long."""
        super().allow(rights)
        self._owner.note_rights(self)

    def take(self, frames: list[bytes]) -> None:
        """Let a message wait for its turn. Disconnects a peer that is too far ahead."""
        size = sum(map(len, frames))
        if len(self._ahead) >= _AHEAD or (self._ahead and self._ahead_bytes + size > _AHEAD_BYTES):
            log.info("dropped a connection: its peer sent %d requests ahead of their replies", len(self._ahead))
            self._owner.disconnect(self)
            return
        self._ahead.append((*self._parted(frames, size), size))
        self._ahead_bytes += size
        self._owner.queued_bytes += size

    def _parted(self, frames: list[bytes], size: int) -> tuple[list[bytes], bytes | DataStoreError]:
        """Return the envelope, which ends with an empty frame, and the request behind it."""
        most = self._owner.most_bytes
        end = next((number for number, frame in enumerate(frames[:-1], 1) if not frame), 0)
        envelope, bodies = frames[:end], frames[end:]
        if size > most:
            return envelope, too_large(size, bodies[0][:64], most)
        if not end or len(bodies) != 1:
            return envelope, not_one_frame(len(frames))
        return envelope, bodies[0]

    def receive(self) -> bytes | None:
        """See `Peer.receive`."""
        if self.waiting or not self._ahead:
            return None
        self._envelope, request, size = self._ahead.popleft()
        self._forget(size)
        self.waiting = True
        if size > _LARGE_BYTES:
            self._owner.had_large = True
        if (isinstance(request, DataStoreError) or size > DENIED_BYTES) and (denial := self.denial()) is not None:
            raise denial
        if isinstance(request, DataStoreError):
            raise request
        return request

    def reply(self, body: bytes) -> None:
        """See `Peer.reply`."""
        if self._owner.send(self, [self.name, *self._envelope, body]):
            self.answered()

    def answered(self) -> None:
        """Go on with the next request."""
        self.waiting = False
        if self._ahead:
            self._owner.poller.look_again(self)

    def end(self) -> None:
        """Forget what was not begun: the peer is gone."""
        self.fd = -1
        self._ahead.clear()
        self._forget(self._ahead_bytes)

    def _forget(self, size: int) -> None:
        self._ahead_bytes -= size
        self._owner.queued_bytes -= size


class Libzmq:
    """All peers of a listening socket, through a ROUTER socket."""

    def __init__(
        self,
        listener: socket.socket,
        poller: Poller,
        peers: Peers,
        *,
        most_bytes: int,
        gatekeeper: Gatekeeper | None = None,
    ) -> None:
        """Requests of more than `most_bytes` are refused. With a `gatekeeper` only those are heard, over CURVE, whose
        key it knows.
        """
        self.poller = poller
        self.most_bytes = most_bytes
        self.queued_bytes = 0
        """Bytes of the requests that were received and not begun."""
        self.had_large = False
        """Whether there was a large request since memory was given back."""
        self._gone, self._leaving = 0, False
        """How many have left since then, of each of whom libzmq has kept some; and whether it was just now."""
        self._peers = peers
        self._connections: dict[bytes, Connection] = {}
        self._by_fd: dict[int, set[Connection]] = {}
        self._accepted: dict[int, float] = {}
        """The descriptors of connections, and when each was accepted, in clock ticks since the boot."""
        self._denied: dict[Connection, float] = {}
        """Those who have no right to anything, and when each is disconnected."""
        self._blocked: dict[Connection, list[bytes]] = {}
        """Those who did not take a reply, and the reply."""
        self._complain_at = 0.0
        self._context = zmq.Context()
        self._gatekeeper = gatekeeper
        self._router = self._context.socket(zmq.ROUTER)
        self._monitor = self._router.get_monitor_socket(
            zmq.EVENT_ACCEPTED | zmq.EVENT_ACCEPT_FAILED | zmq.EVENT_DISCONNECTED
        )
        self._listen(listener)
        self._fd, self._monitor_fd = (int(watched.getsockopt(zmq.FD)) for watched in (self._router, self._monitor))
        poller.ask(self._fd, self._collect)
        poller.add(self._monitor_fd, IN, lambda _events, _ready: self._heed_monitor())
        self._heed_monitor()  # its descriptor tells of something new only after there was nothing
        poller.every(_TIDY_SECONDS, self._tidy)

    def _listen(self, listener: socket.socket) -> None:
        router, family = self._router, listener.family
        router.linger = int(1000 * _LINGER_SECONDS)
        router.maxmsgsize = max(_LARGER * self.most_bytes, _AHEAD_BYTES)
        router.router_mandatory = True
        router.rcvhwm, router.sndhwm = _BACKLOG_REQUESTS, _BACKLOG_REPLIES
        if family == socket.AF_UNIX:
            address = f"ipc://{listener.getsockname()}"
        else:
            host, port = listener.getsockname()[:2]
            address = f"tcp://[{host}]:{port}" if family == socket.AF_INET6 else f"tcp://{host}:{port}"
            router.ipv6 = family == socket.AF_INET6
            router.heartbeat_ivl, router.heartbeat_timeout = 1000 * _HEARTBEAT_SECONDS, 1000 * _SILENT_SECONDS
            router.tcp_keepalive = 1
        if self._gatekeeper is not None:
            self._gatekeeper.open(self._context, router, self.poller)
        router.use_fd = listener.detach()
        router.bind(address)

    def send(self, connection: Connection, frames: list[bytes]) -> bool:
        """Send a reply, and tell whether it is on its way, or of no use to anybody; else it is sent later."""
        if connection.fd < 0:
            return True
        try:
            for frame in frames[:-1]:
                self._router.send(frame, _AND_MORE)
            self._router.send(frames[-1], _AT_ONCE)
        except zmq.Again:
            self._blocked[connection] = frames
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
        return True

    def disconnect(self, connection: Connection) -> None:
        """Break a connection off. libzmq, which has no call for that, sees its end and closes it."""
        self._heed_monitor()
        if connection.fd >= 0:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fd)) as there:
                there.shutdown(socket.SHUT_RDWR)
            self._forget(connection)

    def note_rights(self, connection: Connection) -> None:
        """Disconnect a peer that has no right to anything, in a while; at once, if there are many of them."""
        if not connection.is_denied:
            self._denied.pop(connection, None)
            return
        self._denied[connection] = time.monotonic() + DENIED_SECONDS
        if len(self._denied) > MOST_DENIED:
            self.disconnect(connection)

    def _collect(self, ready: list[Peer]) -> None:
        """Receive what is there, and tell of whom."""
        for connection in list(self._blocked):
            if self.send(connection, self._blocked.pop(connection)):
                connection.answered()
        router, received = self._router, 0
        while self.queued_bytes <= _AHEAD_BYTES and received < _ROUND:
            try:  # to ask first whether there is a message is another system call for each
                name = router.recv(_AT_ONCE)
            except zmq.Again:
                return
            received += 1
            known = self._connections.get(name) if name[0] == _GENERATED else None
            if known is not None:
                connection = known
                frames = [router.recv(_AT_ONCE)]
                while router.get(_MORE):
                    frames.append(router.recv(_AT_ONCE))
            else:
                parts = router.recv_multipart(_AT_ONCE, copy=False)
                connection = self._introduce(name, parts[0])
                frames = [part.bytes for part in parts]
            connection.take(frames)
            if not connection.waiting:
                ready.append(connection)

    def _introduce(self, name: bytes, part: zmq.Frame) -> Connection:
        """Return the peer that sent a message, by the message's metadata, if it is not known by its name alone.

        A name that a peer chose may have been another's before.
        """
        self._heed_monitor()
        origin = _Origin.of(part, keyed=self._gatekeeper is not None)
        connection = self._connections.get(name)
        if connection is not None:
            if connection.origin == origin:
                return connection
            self._forget(connection)
        connection = Connection(self, name, self._peers, origin, self._accepted.get(origin.fd))
        if self._gatekeeper is not None and origin.public_key is not None:
            connection.key = self._gatekeeper.name_of(origin.public_key) or ""  # of a key that was just revoked
        if connection.fd >= 0:
            self._connections[name] = connection
            self._by_fd.setdefault(connection.fd, set()).add(connection)
        self._peers.add(connection)
        if connection.fd < 0:
            self._forget(connection)
        elif connection.key == "":
            self.disconnect(connection)
        return connection

    def _tidy(self) -> None:
        """Now and then: disconnect those who are not to stay, and give memory back."""
        now = time.monotonic()
        for connection, deadline in list(self._denied.items()):
            if now >= deadline:
                self.disconnect(connection)
        if self._gatekeeper is not None and self._gatekeeper.has_changed():
            for connection in list(self._connections.values()):
                public_key = connection.origin.public_key
                if public_key is None or self._gatekeeper.name_of(public_key) != connection.key:
                    log.info("dropped a connection: the key %r of its peer was revoked", connection.key)
                    self.disconnect(connection)
        have_left, self._leaving = self._gone >= _MANY and not self._leaving, False
        if (self.had_large or have_left) and not self.queued_bytes:
            self.had_large, self._gone = False, 0
            give_back()

    def _heed_monitor(self) -> None:
        while True:
            try:
                told = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                return
            if told["event"] == zmq.EVENT_ACCEPT_FAILED:
                self._cannot_accept(int(told["value"]))
                continue
            fd = int(told["value"])
            for connection in self._by_fd.pop(fd, ()):
                self._forget(connection)
            if told["event"] == zmq.EVENT_ACCEPTED:
                self._accepted[fd] = ticks_since_boot()
            else:
                self._accepted.pop(fd, None)
                self._gone += 1
                self._leaving = True

    def _cannot_accept(self, error: int) -> None:
        now = time.monotonic()
        if now >= self._complain_at:  # libzmq tries again all the time
            self._complain_at = now + _COMPLAINT_SECONDS
            log.warning("no more connections can be accepted for now: %s", os.strerror(error))

    def _forget(self, connection: Connection) -> None:
        """Do no more for a peer that is gone. A request that is under way is carried out all the same."""
        connection.end()
        self._blocked.pop(connection, None)
        self._denied.pop(connection, None)
        if self._connections.get(connection.name) is connection:
            del self._connections[connection.name]
        self._peers.remove(connection)

    def close(self) -> None:
        """Disconnect all, after a moment for those that have not yet taken their replies."""
        self.poller.ask_no_more(self._fd, self._collect)
        self.poller.remove(self._monitor_fd)
        if self._gatekeeper is not None:
            self._gatekeeper.close()
        self._heed_monitor()  # libzmq's thread waits for that where too much is untold, with the lock for the next call
        self._router.disable_monitor()
        self._monitor.close()
        self._router.close()
        self._context.term()
