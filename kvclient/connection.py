"""One line to the daemon: a request goes out and its reply comes back, whatever happens to the daemon meanwhile."""

import os
import threading
import time
from typing import Any

import zmq

from kvclient import wire
from kvclient.attempts import Exchange, attempts
from kvclient.endpoint import Target
from kvclient.errors import DataStoreError

_contexts: dict[int, "zmq.Context[zmq.Socket[bytes]]"] = {}
_contexts_lock = threading.Lock()
# Sockets from before a fork, which are the parent's: neither to be closed here nor to be complained of.
_inherited: list["zmq.Socket[Any] | None"] = []


def shared_context() -> "zmq.Context[zmq.Socket[bytes]]":
    """Return this process's context: one for all clients, and never one from before a fork."""
    pid = os.getpid()
    with _contexts_lock:
        if pid not in _contexts:
            _contexts[pid] = zmq.Context()
        return _contexts[pid]


def _unlock_after_fork() -> None:
    """Replace the lock, which another thread may have held at the moment of the fork."""
    global _contexts_lock  # noqa: PLW0603
    _contexts_lock = threading.Lock()


os.register_at_fork(after_in_child=_unlock_after_fork)


class Line:
    """What a connection consists of, whether its socket blocks or is awaited: a socket, and ids for its requests.

    A line has one request under way at a time, and belongs to the process that made it.
    """

    def __init__(self, target: Target) -> None:
        self.pid = os.getpid()
        self._target = target
        self._socket: zmq.Socket[Any] | None = None
        self._answered = False
        self._client = os.urandom(9).hex()
        self._number = 0

    def identify(self, request: bytes) -> bytes:
        """Return a changing request with the next id of this line."""
        self._number += 1
        return wire.identified(request, self._client, self._number)

    def close(self) -> None:
        """Disconnect. The next request connects again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __del__(self) -> None:
        if self.pid == os.getpid():
            self.close()
        else:
            _inherited.append(self._socket)

    def _connect(self, socket: "zmq.Socket[Any]") -> None:
        self._socket = socket
        socket.setsockopt(zmq.LINGER, 0)
        try:
            socket.connect(self._target.endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise DataStoreError(f"The endpoint {self._target.endpoint!r} cannot be used: {error}.") from None


class Connection(Line):
    """A connection for one thread of one process. It connects when it is first used."""

    _patience = 0.0
    """Seconds that the socket waits for a reply, as it was last told."""

    def ask(self, request: bytes, timeout: float, *, changes: bool) -> bytes:
        """Return the reply to `request`, which is repeated until one comes; `changes` tells whether it has an id.

        Raises `DaemonUnavailableError` or `RequestTimeoutError` after `timeout` seconds.
        """
        for step in attempts(self._target, timeout, changes=changes, answered=self._answered):
            if not isinstance(step, Exchange):
                time.sleep(step.seconds)
            elif (reply := self._exchange(request, step.seconds)) is not None:
                self._answered = True
                return reply
        raise AssertionError("attempts end with a reply or an error")

    def _exchange(self, request: bytes, seconds: float) -> bytes | None:
        if self._socket is None:
            self._connect(shared_context().socket(zmq.REQ))
            self._patience = 0.0
        socket = self._socket
        assert socket is not None
        try:
            if seconds != self._patience:
                socket.setsockopt(zmq.RCVTIMEO, max(1, int(seconds * 1000)))
                self._patience = seconds
            socket.send(request)
            reply: bytes = socket.recv()
        except BaseException as error:
            # Too late, or Ctrl-C: a REQ socket without its reply cannot ask again, and must not hand on a late one.
            self.close()
            if isinstance(error, zmq.Again):
                return None
            raise
        return reply
