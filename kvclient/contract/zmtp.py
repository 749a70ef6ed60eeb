"""ZMTP 3, the protocol between ZeroMQ sockets, as REQ and REP sockets speak it. Bytes only; no socket is touched here.

Specified in https://rfc.zeromq.org/spec/23/ (3.0) and https://rfc.zeromq.org/spec/37/ (3.1); the request-reply envelope
in https://rfc.zeromq.org/spec/28/. Why this is not left to libzmq is measured in docs/performance.md: the thread that
it puts between a socket and the program costs more than all the rest of a request.
"""

from collections.abc import Generator
from typing import Protocol

from kvclient.contract.errors import RequestError

_MORE, _LONG, _COMMAND = 1, 2, 4
_SEALED_MORE, _SEALED_COMMAND = 1, 2
"""The flags inside an encrypted frame, https://rfc.zeromq.org/spec/26/."""
_SIGNATURE_BYTES = 10
_GREETING_BYTES = 64
_SIGNATURE = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01"
_NULL, _CURVE = b"NULL".ljust(20, b"\x00"), b"CURVE".ljust(20, b"\x00")
_METADATA = b"\x0bSocket-Type\x00\x00\x00\x03"
_PEERS = {b"REQ": {b"REP", b"ROUTER"}, b"REP": {b"REQ", b"DEALER", b"ROUTER"}}
"""The sockets that may talk to which."""
_MOST_COMMAND_BYTES = 4096
_ERROR = b"\x05ERROR"
_MOST_SKIPPED_BYTES = 1 << 30
"""A message that is too large is received to its end, and answered, up to this size."""
_HEAD_BYTES = 64
_CHUNK, _MOST_CHUNK = 1 << 12, 1 << 20
"""Bytes to receive at a time, of a message that may be small and of one that is known to be large."""

# What a REQ socket sends and gets: an empty frame, and a frame of up to 255 bytes or a longer one.
_ENVELOPE = b"\x01\x00"
_SHORT, _LONGER = _ENVELOPE + b"\x00", _ENVELOPE + b"\x02"


# The same encrypted: 8 bytes that say MESSAGE, 8 of a number, 16 that prove it, and 1 of flags.
_SEALED_ENVELOPE = b"\x00\x21"
_BODY_AT = 2 + 33


class ProtocolError(Exception):
    """The peer does not speak the protocol; there is no going on with it."""


class RefusedError(ProtocolError):
    """The peer does not want to go on with this side, and said so."""


class ForgedError(ProtocolError):
    """What came is not what the peer encrypted: it was changed on its way, or is somebody else's."""


class Encryption(Protocol):
    """What `kvclient.contract.curve.Curve` does; here is its shape only, as few need it and it takes time to load."""

    def hello(self) -> bytes:
        """Return the command with which the handshake begins."""
        ...

    def initiate(self, welcome: bytes, metadata: bytes) -> bytes:
        """Return the answer to the peer's WELCOME."""
        ...

    def ready(self, command: bytes) -> bytes:
        """Return what the peer's READY tells of it."""
        ...

    def seal(self, flags: int, body: bytes) -> bytes:
        """Return a frame's body, encrypted, with its flags."""
        ...

    def open(self, frame: bytes) -> tuple[int, bytes]:
        """Return the flags and the body of a frame."""
        ...


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

    def __init__(self, socket_type: bytes, most_bytes: int, encryption: Encryption | None = None) -> None:
        """`socket_type` is this side's, `REQ` or `REP`. Messages of more than `most_bytes` are not taken. With
        `encryption` this is a client's side, of CURVE.
        """
        self._replies = socket_type == b"REP"
        self._peers = _PEERS[socket_type]
        self.most_bytes = most_bytes
        self.established = False
        """Whether the peer has shown that it is a ZeroMQ socket of a kind that fits."""
        self._encryption = encryption
        self._metadata = _METADATA + socket_type
        self._mechanism = _NULL if encryption is None else _CURVE
        introduction = b"\x05READY" + self._metadata if encryption is None else encryption.hello()
        greeting = (_SIGNATURE + self._mechanism).ljust(_GREETING_BYTES, b"\x00")
        self.outgoing = greeting + _frame(introduction, _COMMAND)
        """What is to be sent to the peer besides messages. Whoever sends it takes it away."""
        self._incoming = bytearray()
        self._between_messages = False
        self._envelope = _ENVELOPE
        self._message: bytes | RequestError | MessageTooLargeError | None = None
        self._too_large: MessageTooLargeError | None = None
        self._listener = self._listen()
        self._needed = next(self._listener)

    @property
    def encrypted(self) -> bool:
        """Whether the handshake is done, and what comes is proved to be the peer's."""
        return self.established and self._encryption is not None

    def receive(self, data: bytes) -> bytes | None:
        """Take what came, and return the message in it once it is whole.

        Raises `RequestError` for a whole message that is not a single frame, `MessageTooLargeError` for one that was
        too large, both to be answered, and `ProtocolError`.
        """
        if self._between_messages and not self._incoming:  # the short way for what comes in one piece, as mostly
            if self._encryption is not None:
                if (body := self._decrypted(data)) is not None:
                    return body
            else:
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

    def _decrypted(self, data: bytes) -> bytes | None:
        """Return the reply if `data` is an encrypted envelope and a frame behind it, and nothing else."""
        assert self._encryption is not None
        size = len(data)
        if data[:2] != _SEALED_ENVELOPE or size < _BODY_AT + 2:
            return None
        flags, at = data[_BODY_AT], _BODY_AT + 2
        if flags == _LONG:
            at = _BODY_AT + 9
            if int.from_bytes(data[_BODY_AT + 1 : at]) != size - at:
                return None
        elif flags or data[_BODY_AT + 1] != size - at:
            return None
        more, envelope = self._encryption.open(data[2:_BODY_AT])
        last, body = self._encryption.open(data[at:])
        if more != _SEALED_MORE or envelope or last:
            raise ProtocolError("sent what is no reply")
        return body

    def message(self, body: bytes) -> bytes:
        """Return the bytes of a message to the peer."""
        if self._encryption is None:
            return self._envelope + _frame(body, 0)
        seal = self._encryption.seal
        return _frame(seal(_SEALED_MORE, b""), 0) + _frame(seal(0, body), 0)

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

    def error(self, reason: str) -> bytes:
        """Return the bytes that tell a peer, during the handshake, why there is no going on with it."""
        text = reason.encode("ascii", "backslashreplace")[:255]
        return _frame(_ERROR + bytes([len(text)]) + text, _COMMAND)

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
        if (yield _GREETING_BYTES - _SIGNATURE_BYTES - 1)[1:21] != self._mechanism:
            raise ProtocolError(
                "is not encrypted" if self._encryption else "asks for a security mechanism that kvd does not have"
            )
        metadata = yield from self._introduction()
        if (kind := _socket_type(metadata)) is None:
            raise ProtocolError("does not introduce itself as ZeroMQ sockets do")
        if kind not in self._peers:
            raise ProtocolError(f"is a socket of a kind that does not fit, {kind!r}")
        self.established = True
        while True:
            self._between_messages = True
            yield from self._next_message()

    def _introduction(self) -> Generator[int, bytes, bytes]:
        """Return what the peer tells of itself."""
        command = yield from self._command_frame()
        if self._encryption is None:
            return command.removeprefix(b"\x05READY") if command.startswith(b"\x05READY") else b""
        self.outgoing += _frame(self._encryption.initiate(command, self._metadata), _COMMAND)
        return self._encryption.ready((yield from self._command_frame()))

    def _command_frame(self) -> Generator[int, bytes, bytes]:
        flags, body = yield from self._frame(0)
        if not flags & _COMMAND:
            raise ProtocolError("does not introduce itself as ZeroMQ sockets do")
        if body.startswith(_ERROR):
            raise RefusedError(f"refuses the connection: {body[7:].decode(errors='backslashreplace')}")
        return body

    def _part(self, most: int) -> Generator[int, bytes, tuple[int, bytes]]:
        """Return the flags and the body of a frame, decrypted."""
        if self._encryption is None:
            return (yield from self._frame(most))
        flags, sealed = yield from self._frame(most)
        flags, body = self._encryption.open(sealed)
        return (_MORE if flags & _SEALED_MORE else 0) | (_COMMAND if flags & _SEALED_COMMAND else 0), body

    def _next_message(self) -> Generator[int, bytes, None]:
        """A message is an envelope, which ends with an empty frame, and behind it the request or reply."""
        envelope = bytearray()
        delimited, left = False, self.most_bytes
        bodies = frames = 0
        body, more = b"", True
        while more:
            flags, data = yield from self._part(left)
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
            self._message = not_one_frame(frames)

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
            pong = b"\x04PONG" + body[7:]
            if self._encryption is None:
                self.outgoing += _frame(pong, _COMMAND)
            else:
                self.outgoing += _frame(self._encryption.seal(_SEALED_COMMAND, pong), 0)


def command_at(data: bytes) -> int:
    """Return how long the command is that `data` begins with; 0 if it begins with something else, or not all is there.

    Only short ones count, of up to 255 bytes.
    """
    if len(data) < 2 or data[0] != _COMMAND or len(data) < 2 + data[1]:
        return 0
    return 2 + data[1]


def not_one_frame(frames: int) -> RequestError:
    """Return what a peer is told whose message, of so many frames, is no envelope with one frame behind it."""
    s = "" if frames == 1 else "s"
    return RequestError(f"A request is a single frame behind an empty one; this message had {frames} frame{s}.")


def _frame(body: bytes, flags: int) -> bytes:
    size = len(body)
    if size < 256:
        return b"%c%c%s" % (flags, size, body)
    return b"%c%s%s" % (flags | _LONG, size.to_bytes(8), body)


def _socket_type(metadata: bytes) -> bytes | None:
    """Return what a peer says that it is, None if it does not."""
    at = 0
    while at < len(metadata):
        value_at = at + 1 + metadata[at]
        name = metadata[at + 1 : value_at]
        size = int.from_bytes(metadata[value_at : value_at + 4])
        at = value_at + 4 + size
        if name.lower() == b"socket-type":
            return metadata[value_at + 4 : at]
    return None
