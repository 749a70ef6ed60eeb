"""CURVE, a client's side of it: each side proves that it owns its key, and all that follows is encrypted.

The protocol is https://rfc.zeromq.org/spec/26/, the cryptography libsodium's (PyNaCl). Why a client does not leave this
to libzmq, which has the daemon's side: docs/performance.md.
"""

from base64 import b85decode
from collections.abc import Callable

from nacl import bindings as sodium
from nacl.exceptions import CryptoError

from kvclient.contract.keys import Pair
from kvclient.contract.zmtp import ForgedError, ProtocolError

_HELLO_PADDING = bytes(72)
_WELCOME_BYTES, _COOKIE_BYTES = 168, 96
_WELCOME, _READY, _MESSAGE = b"\x07WELCOME", b"\x05READY", b"\x07MESSAGE"
_NONCE_BYTES = 8
_SEALED_AT = len(_MESSAGE) + _NONCE_BYTES
# base64 reads the digits of RFC 1924, which are others for the same numbers.
_Z85 = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_RFC1924 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_digits = bytes.maketrans(_Z85, _RFC1924)


class Curve:
    """One connection's keys and counters. All methods raise `ProtocolError` for what the daemon cannot have sent."""

    def __init__(self, server_key: bytes, pair: Pair) -> None:
        """Keys are in Z85 (https://rfc.zeromq.org/spec/32/)."""
        self._server = _raw(server_key)
        self._public, self._secret = map(_raw, pair)
        self._short_public, self._short_secret = sodium.crypto_box_keypair()
        self._sent = 0
        self._received = 0
        self._shared = b""
        """The key that both short-term keys make."""

    def hello(self) -> bytes:
        """Return the command with which the handshake begins."""
        nonce = self._next()
        box = sodium.crypto_box_easy(bytes(64), b"CurveZMQHELLO---" + nonce, self._server, self._short_secret)
        return b"\x05HELLO\x01\x00" + _HELLO_PADDING + self._short_public + nonce + box

    def initiate(self, welcome: bytes, metadata: bytes) -> bytes:
        """Return the answer to the daemon's WELCOME: the proof of this side's key, and what it tells of itself."""
        if len(welcome) != _WELCOME_BYTES or not welcome.startswith(_WELCOME):
            raise ProtocolError("does not introduce itself as CURVE has it")
        nonce, box = welcome[8:24], welcome[24:]
        opened = _opened(sodium.crypto_box_open_easy, box, b"WELCOME-" + nonce, self._server, self._short_secret)
        server, cookie = opened[:-_COOKIE_BYTES], opened[-_COOKIE_BYTES:]
        self._shared = sodium.crypto_box_beforenm(server, self._short_secret)
        long = sodium.randombytes(16)
        vouch = sodium.crypto_box_easy(self._short_public + self._server, b"VOUCH---" + long, server, self._secret)
        nonce = self._next()
        told = self._public + long + vouch + metadata
        box = sodium.crypto_box_easy_afternm(told, b"CurveZMQINITIATE" + nonce, self._shared)
        return b"\x08INITIATE" + cookie + nonce + box

    def ready(self, command: bytes) -> bytes:
        """Return what the daemon's READY tells of it."""
        if not command.startswith(_READY) or len(command) < len(_READY) + _NONCE_BYTES:
            raise ProtocolError("does not end the handshake as CURVE has it")
        return self._open(command[6:14], b"CurveZMQREADY---", command[14:])

    def seal(self, flags: int, body: bytes) -> bytes:
        """Return a frame's body, encrypted, with its flags."""
        nonce = self._next()
        sealed = sodium.crypto_box_easy_afternm(b"%c%s" % (flags, body), b"CurveZMQMESSAGEC" + nonce, self._shared)
        return _MESSAGE + nonce + sealed

    def open(self, frame: bytes) -> tuple[int, bytes]:
        """Return the flags and the body of a frame."""
        if not frame.startswith(_MESSAGE) or len(frame) <= _SEALED_AT:
            raise ProtocolError("sent what is not encrypted")
        opened = self._open(frame[8:_SEALED_AT], b"CurveZMQMESSAGES", frame[_SEALED_AT:])
        return opened[0], opened[1:]

    def _open(self, nonce: bytes, prefix: bytes, box: bytes) -> bytes:
        opened = _opened(sodium.crypto_box_open_easy_afternm, box, prefix + nonce, self._shared)
        number = int.from_bytes(nonce)
        if number <= self._received:
            raise ForgedError("sent the same twice")
        self._received = number
        return opened

    def _next(self) -> bytes:
        self._sent += 1
        return self._sent.to_bytes(_NONCE_BYTES)


def _raw(key: bytes) -> bytes:
    return b85decode(key.translate(_digits))


def _opened(open_box: Callable[..., bytes], box: bytes, nonce: bytes, *keys: bytes) -> bytes:
    try:
        return open_box(box, nonce, *keys)
    except (CryptoError, ValueError):  # too short, or something of it is not as it was sent
        raise ForgedError("sent what its key did not encrypt") from None
