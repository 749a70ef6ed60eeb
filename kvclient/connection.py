"""One line to the daemon: a request goes out and its reply comes back, whatever happens to the daemon meanwhile."""

import os
import random
import secrets
import threading
import time

import zmq

from kvclient import wire
from kvclient.autostart import listening, start_daemon
from kvclient.endpoint import Target
from kvclient.errors import DaemonUnavailableError, RequestTimeoutError

# A request without a reply is repeated after this, then after twice as long, and so on up to the maximum. Shorter
# would repeat what a slow disk is still writing; longer would let a restarted daemon wait for its clients.
FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS = 0.25, 2.0
# So long a daemon that has never answered this connection may be away, unless the timeout is shorter: long enough for
# it to restart, short enough for a person who mistyped an endpoint.
_ABSENCE_SECONDS = 2.0
_AWAY_POLL_SECONDS = 0.05

_contexts: dict[int, "zmq.Context[zmq.Socket[bytes]]"] = {}
_contexts_lock = threading.Lock()


def shared_context() -> "zmq.Context[zmq.Socket[bytes]]":
    """Return this process's context: one for all clients, and never one from before a fork."""
    pid = os.getpid()
    with _contexts_lock:
        if pid not in _contexts:
            _contexts[pid] = zmq.Context()
        return _contexts[pid]


class Connection:
    """A connection for one thread of one process. It connects when it is first used."""

    def __init__(self, target: Target) -> None:
        self.pid = os.getpid()
        self._target = target
        self._socket: zmq.Socket[bytes] | None = None
        self._answered = False
        self._client = secrets.token_urlsafe(9)
        self._number = 0

    def identify(self, request: bytes) -> bytes:
        """Return a changing request with the next id of this connection."""
        self._number += 1
        return wire.identified(request, self._client, self._number)

    def ask(self, request: bytes, timeout: float, *, changes: bool) -> bytes:
        """Return the reply to `request`, which is repeated until one comes; `changes` tells whether it has an id.

        Raises `DaemonUnavailableError` or `RequestTimeoutError` after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        if not self._answered:
            self._find_daemon(deadline)
        pause = FIRST_RETRY_SECONDS
        sent = False
        while True:
            try:
                # Some of a second more or less: clients that lost the same daemon do not all come back at once.
                reply = self._exchange(request, min(pause * random.uniform(0.8, 1.2), deadline - time.monotonic()))
            except zmq.Again:
                sent = True
            else:
                self._answered = True
                return reply
            self.close()
            pause = min(2 * pause, MOST_RETRY_SECONDS)
            if time.monotonic() >= deadline:
                raise self._timed_out(timeout, uncertain=changes and sent)
            self._find_daemon(deadline, uncertain=changes and sent)

    def _exchange(self, request: bytes, seconds: float) -> bytes:
        socket = self._socket
        if socket is None:
            socket = self._socket = shared_context().socket(zmq.REQ)
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(self._target.endpoint)
        socket.setsockopt(zmq.RCVTIMEO, max(1, int(seconds * 1000)))
        socket.send(request)
        return socket.recv()

    def _find_daemon(self, deadline: float, *, uncertain: bool = False) -> None:
        """Wait until somebody listens; start a daemon if that is wanted. Only on a Unix socket can one tell."""
        path = self._target.socket
        if path is None:
            return
        if not self._answered:
            deadline = min(deadline, time.monotonic() + _ABSENCE_SECONDS) if not self._target.autostart else deadline
        while not listening(path):
            if self._target.autostart:
                start_daemon(path, self._target.named_store, deadline)
                return
            if time.monotonic() > deadline:
                hint = " (a request sent before may have been carried out)" if uncertain else ""
                raise DaemonUnavailableError(
                    f"No daemon listens on {self._target.endpoint}{hint}. Start one with 'kvd', or leave the endpoint "
                    "to its default to have one started."
                )
            time.sleep(_AWAY_POLL_SECONDS * random.uniform(0.5, 1.5))

    def _timed_out(self, timeout: float, *, uncertain: bool) -> RequestTimeoutError:
        consequence = (
            "The request may have been carried out; sending it once more through this client is safe only by reading first."
            if uncertain
            else "Nothing was changed."
        )
        return RequestTimeoutError(f"No answer from {self._target.endpoint} within {timeout:g} s. {consequence}")

    def close(self) -> None:
        """Disconnect. The next request connects again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
