"""`Client`: the store of a daemon, from any thread of any process."""

import threading
from abc import ABC, abstractmethod
from contextlib import closing
from os import getpid
from types import TracebackType
from typing import Self, TypeVar

from kvclient.client.connection import Connection
from kvclient.contract import calls
from kvclient.contract.calls import Call
from kvclient.contract.endpoint import Target
from kvclient.recipes.face import Recipes

T = TypeVar("T")

DEFAULT_TIMEOUT = 5.0
"""Seconds that a call waits for the daemon's answer."""


class Caller(ABC):
    """Which daemon a client talks to, and for how long it waits."""

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        store: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        autostart: bool = True,
        server_key: str | None = None,
        key: str | None = None,
    ) -> None:
        """Name the daemon by its `endpoint`, or by its `store`, or leave it to the settings and the default.

        A `tcp://` endpoint takes `server_key`, the daemon's public key, and `key`, the name of a key of one's own
        (`kvctl keys new`) or the path of its file; both can be settings. docs/network.md shows how.

        `timeout` is in seconds and bounds each call, repetitions included; then the call raises
        `RequestTimeoutError`, or `DaemonUnavailableError` if there was nobody to send the request to. Without
        `autostart` no daemon is started. Raises `ValueError` for a `timeout` that is no number above 0.
        """
        self._target = Target(store, endpoint, autostart=autostart, server_key=server_key, key=key)
        self.timeout = timeout
        self._connect()

    @property
    def endpoint(self) -> str:
        """Where the daemon is expected."""
        return self._target.endpoint

    @property
    def timeout(self) -> float:
        """Seconds that each call may take; can be set."""
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float) -> None:
        if not isinstance(seconds, int | float) or not seconds > 0:  # nor is NaN
            raise ValueError(f"A timeout is a number of seconds above 0, not {seconds!r}.")
        self._timeout = seconds

    @abstractmethod
    def _connect(self) -> None:
        """Prepare to connect on first use."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.endpoint!r})"

    def __getstate__(self) -> tuple[Target, float]:
        return self._target, self._timeout

    def __setstate__(self, state: tuple[Target, float]) -> None:
        self._target, self._timeout = state
        self._connect()


class Client(Caller, Recipes):
    """A store, as its daemon serves it.

    Connects on first use, and starts a daemon if none runs on the default endpoint (`KVD_AUTOSTART=0` turns that off);
    to read, only for a store that has a data file. Talks to a daemon of this user or of root only: where another user
    listens, each call raises `AccessDeniedError`. Safe to call from many threads, each of which gets a connection of
    its own, from signal handlers, and after a fork; can be pickled. A daemon that restarts goes unnoticed: a request
    without an answer is repeated until `timeout`, and carried out once.

    >>> store = Client()
    >>> store.create("key1", {"name": "value1"}, ttl=5)
    1
    >>> store.read("key1")
    {'name': 'value1'}
    """

    def stop(self) -> None:
        """End the daemon cleanly. Returns when it has accepted that; raises `DaemonUnavailableError` if none runs.

        >>> store.stop()
        """
        with closing(Connection(self._target.without_autostart())) as connection:
            calls.stop().result(connection.ask(calls.stop().request, self._timeout, changes=False))

    def close(self) -> None:
        """Close this thread's connection. Those of other threads close with their threads. The next call connects anew.

        >>> store.close()
        """
        connection = getattr(self._threads, "connection", None)
        if connection is not None and connection.pid == getpid():
            connection.close()
        self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self) -> None:
        self._threads = threading.local()

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._threads, "connection", None)
        if connection is None or connection.pid != getpid():
            connection = self._threads.connection = Connection(self._target)
        elif connection.busy:  # this is a signal handler's call, or a finalizer's, inside another call of this thread
            return Connection(self._target)
        return connection

    def _call(self, call: Call[T]) -> T:
        return call.result(self._connection().ask(call.request, self._timeout, changes=call.changes, wait=call.wait))
