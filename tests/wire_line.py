"""A connection that knows the wire and nothing of the clients: what it asks, it asks until there is an answer."""

import json
import socket
import sys
import time
from typing import Any, Self

from kvclient.contract.zmtp import Conversation

_AWAY_SECONDS = 0.02
"""Between two attempts to reach a daemon that is not there."""


class LineLost(Exception):
    """The daemon went away before it answered."""


class WireLine:
    """A REQ socket's side of a connection, without libzmq: one request at a time, as bytes or as a dict."""

    def __init__(self, endpoint: str, patience: float = 60.0) -> None:
        """The daemon may be away for `patience` seconds."""
        self._path = endpoint.removeprefix("ipc://")
        self._patience = patience
        self._socket: socket.socket | None = None
        self._conversation: Conversation

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, request: dict[str, Any] | bytes) -> dict[str, Any]:
        """Return what the reply says; the request is sent again whenever the daemon goes away before it answers."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self.send(request)
                return json.loads(self.receive())
            except (LineLost, ConnectionError, FileNotFoundError):
                assert time.monotonic() < deadline, f"no answer within {self._patience} s to {request!r}"
                time.sleep(_AWAY_SECONDS)

    def send(self, request: dict[str, Any] | bytes) -> None:
        """Send a request. Raises `OSError` if there is nobody who takes it."""
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        try:
            if self._socket is None:
                self._open()
            assert self._socket is not None
            self._socket.sendall(self._conversation.message(body))
        except OSError:
            self.close()
            raise

    def receive(self) -> bytes:
        """Return the reply. Raises `LineLost` if the daemon goes away."""
        while (reply := self._conversation.receive(self._some())) is None:
            pass
        return reply

    def _open(self) -> None:
        self._conversation = Conversation(b"REQ", sys.maxsize)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(self._patience)
        self._socket.connect(self._path)
        while not self._conversation.established:
            self._socket.sendall(self._conversation.outgoing)
            self._conversation.outgoing = b""
            self._conversation.receive(self._some())

    def _some(self) -> bytes:
        wanted = self._conversation.wanted
        if not wanted:
            return b""
        assert self._socket is not None
        try:
            data = self._socket.recv(wanted)
        except ConnectionError:
            data = b""
        if not data:
            self.close()
            raise LineLost
        return data

    def fileno(self) -> int:
        """Return the descriptor, for polling."""
        assert self._socket is not None
        return self._socket.fileno()

    def close(self) -> None:
        """Disconnect; the next request connects again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
