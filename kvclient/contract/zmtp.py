"""ZMTP 3, the protocol between ZeroMQ sockets, as REQ and REP sockets speak it. Bytes only; no socket is touched here.

Specified in https://rfc.zeromq.org/spec/23/ (3.0) and https://rfc.zeromq.org/spec/37/ (3.1); the request-reply envelope
in https://rfc.zeromq.org/spec/28/. Why this is not left to libzmq is measured in docs/performance.md: the thread that
it puts between a socket and the program costs more than all the rest of a request.
"""

from collections.abc import Generator

from kvclient.contract.errors import RequestError

_MORE, _LONG, _COMMAND = 1, 2, 4
_SIGNATURE_BYTES = 10
_GREETING_BYTES = 64
_MECHANISM = b"NULL".ljust(20, b"\x00")
_GREETING = (b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + _MECHANISM).ljust(_GREETING_BYTES, b"\x00")
_PEERS = {b"REQ": {b"REP", b"ROUTER"}, b"REP": {b"REQ", b"DEALER", b"ROUTER"}}
"""The sockets that may talk to which."""
_MOST_COMMAND_BYTES = 4096
_MOST_SKIPPED_BYTES = 1 << 30
"""A message that is too large is received to its end, and answered, up to this size."""
_HEAD_BYTES = 64
_CHUNK, _MOST_CHUNK = 1 << 12, 1 << 20
"""Bytes to receive at a time, of a message that may be small and of one that is known to be large."""

# What a REQ socket sends and gets: an empty frame, and a frame of up to 255 bytes or a longer one.
_ENVELOPE = b"\x01\x00"
_SHORT, _LONGER = _ENVELOPE + b"\x00", _ENVELOPE + b"\x02"


class ProtocolError(Exception):
    """The peer does not speak the protocol; there is no going on with it."""


class MessageTooLargeError(Exception):
    """A whole message came that has more bytes than were to be taken. It was not kept."""

    def __init__(self, size: int, head: bytes) -> None:
        super().__init__()
        self.size = size
        self.head = head
        """Its first bytes."""


class Conversation:
    """A connection from its first byte on: what a peer sends, and what it is sent.

    Messages are requests and replies, one frame each behind an envelope. A REP socket's reply has the envelope of the
    request that it received last; so it must not `receive` the next one before it has replied.
    """

    def __init__(self, socket_type: bytes, most_bytes: int) -> None:
        """`socket_type` is this side's, `REQ` or `REP`. Messages of more than `most_bytes` are not taken."""
        self._replies = socket_type == b"REP"
        self._peers = _PEERS[socket_type]
        self.most_bytes = most_bytes
        self.established = False
        """Whether the peer has shown that it is a ZeroMQ socket of a kind that fits."""
        self.outgoing = _GREETING + _frame(b"\x05READY\x0bSocket-Type\x00\x00\x00\x03" + socket_type, _COMMAND)
        """What is to be sent to the peer besides messages. Whoever sends it takes it away."""
        self._incoming = bytearray()
        self._between_messages = False
        self._envelope = _ENVELOPE
        self._message: bytes | RequestError | MessageTooLargeError | None = None
        self._too_large: MessageTooLargeError | None = None
        self._listener = self._listen()
        self._needed = next(self._listener)

    def receive(self, data: bytes) -> bytes | None:
        """Take what came, and return the message in it once it is whole.

        Raises `RequestError` for a whole message that is not a single frame, `MessageTooLargeError` for one that was
        too large, both to be answered, and `ProtocolError`.
        """
        if self._between_messages and not self._incoming:  # the short way for what comes in one piece, as mostly
            head, size = data[:3], len(data)
            self._envelope = _ENVELOPE
            if head == _SHORT and size > 3 and data[3] == size - 4:
                return data[4:]
            if head == _LONGER and int.from_bytes(data[3:11]) == size - 11 <= self.most_bytes:
                return data[11:]
        self._incoming += data
        while self._message is None and len(self._incoming) >= self._needed:
            part = bytes(memoryview(self._incoming)[: self._needed])
            del self._incoming[: self._needed]
            self._needed = self._listener.send(part)
        message, self._message = self._message, None
        if isinstance(message, RequestError | MessageTooLargeError):
            raise message
        return message

    def message(self, body: bytes) -> bytes:
        """Return the bytes of a message to the peer."""
        return self._envelope + _frame(body, 0)

    @property
    def wanted(self) -> int:
        """How many bytes to receive next; 0 if there are enough to go on with."""
        missing = self._needed - len(self._incoming)
        if missing <= 0:
            return 0
        return _CHUNK if missing < _CHUNK else min(missing, _MOST_CHUNK)

    @property
    def under_way(self) -> int:
        """Bytes of the frame that is being received; 0 between messages."""
        return 0 if self._between_messages and not self._incoming else self._needed

    def end(self) -> None:
        """Let go of what listens, which refers back to this and would keep it in memory for long."""
        self._listener.close()

    def _listen(self) -> Generator[int, bytes, None]:
        """Yield of how many bytes the next part consists, and be sent them."""
        signature = yield _SIGNATURE_BYTES
        if signature[0] != 0xFF or signature[9] != 0x7F:
            raise ProtocolError("is no ZeroMQ socket")
        major = (yield 1)[0]
        if major < 3:
            raise ProtocolError(f"speaks version {major} of ZeroMQ's protocol, older than 3")
        if (yield _GREETING_BYTES - _SIGNATURE_BYTES - 1)[1:21] != _MECHANISM:
            raise ProtocolError("asks for a security mechanism that kvd does not have")
        flags, body = yield from self._frame(0)
        if not flags & _COMMAND or (kind := _socket_type(body)) is None:
            raise ProtocolError("does not introduce itself as ZeroMQ sockets do")
        if kind not in self._peers:
            raise ProtocolError(f"is a socket of a kind that does not fit, {kind!r}")
        self.established = True
        while True:
            self._between_messages = True
            yield from self._next_message()

    def _next_message(self) -> Generator[int, bytes, None]:
        """A message is an envelope, which ends with an empty frame, and behind it the request or reply."""
        envelope = bytearray()
        delimited, left = False, self.most_bytes
        bodies = frames = 0
        body, more = b"", True
        while more:
            flags, data = yield from self._frame(left)
            if flags & _COMMAND:
                self._command(data)
                self._between_messages = not frames
                continue
            more = bool(flags & _MORE)
            left -= len(data)
            frames += 1
            if delimited:
                bodies += 1
                body = data
            elif more:
                envelope += _frame(data, _MORE)
                delimited = not data
        if self._replies:
            self._envelope = bytes(envelope) if delimited else b""
        self._message = body
        if self._too_large is not None:
            self._message, self._too_large = self._too_large, None
        elif bodies != 1:
            s = "" if frames == 1 else "s"
            self._message = RequestError(
                f"A request is a single frame behind an empty one; this message had {frames} frame{s}."
            )

    def _frame(self, most: int) -> Generator[int, bytes, tuple[int, bytes]]:
        flags = (yield 1)[0]
        self._between_messages = False
        if flags & ~(_MORE | _LONG | _COMMAND):
            raise ProtocolError("sent what is no frame")
        size = int.from_bytes((yield 8 if flags & _LONG else 1))
        if flags & _COMMAND:
            if size > _MOST_COMMAND_BYTES:
                raise ProtocolError(f"sent a command of {size} bytes")
        elif size > most:
            return flags, (yield from self._skip(size))
        return flags, ((yield size) if size else b"")

    def _skip(self, size: int) -> Generator[int, bytes, bytes]:
        """Receive a frame that is too large without keeping it."""
        if size > _MOST_SKIPPED_BYTES or not self.established:
            raise ProtocolError(f"sent a message of {size} bytes; {self.most_bytes} are the most")
        head = yield min(size, _HEAD_BYTES)
        left = size - len(head)
        while left > 0:
            left -= len((yield min(left, _MOST_CHUNK)))
        self._too_large = MessageTooLargeError(size, head)
        return b""

    def _command(self, body: bytes) -> None:
        # Its two bytes of time to live are for a server that would give a silent peer up; the rest is sent back.
        if body.startswith(b"\x04PING"):
            self.outgoing += _frame(b"\x04PONG" + body[7:], _COMMAND)


def _frame(body: bytes, flags: int) -> bytes:
    size = len(body)
    if size < 256:
        return b"%c%c%s" % (flags, size, body)
    return b"%c%s%s" % (flags | _LONG, size.to_bytes(8), body)


def _socket_type(ready: bytes) -> bytes | None:
    """Return what a READY command says the peer is, None if it is none."""
    if not ready.startswith(b"\x05READY"):
        return None
    at = 6
    while at < len(ready):
        value_at = at + 1 + ready[at]
        name = ready[at + 1 : value_at]
        size = int.from_bytes(ready[value_at : value_at + 4])
        at = value_at + 4 + size
        if name.lower() == b"socket-type":
            return ready[value_at + 4 : at]
    return None
