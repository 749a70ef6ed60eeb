"""Taking an endpoint: nobody else's socket or file is ever replaced.

libzmq unlinks whatever lies at an `ipc://` path before it binds, a live server's socket or a regular file included. So
the path is locked and looked at first.
"""

import os
import socket
import stat
import struct
from pathlib import Path

import zmq

from kvclient.endpoint import socket_path
from kvclient.errors import DataStoreError, StoreLockedError
from kvd.engine.jsonfile.lock import Lock

# Connections of which nothing was received yet; a burst of clients larger than this waits for its turn to connect.
_BACKLOG = 1024


class Endpoint:
    """An endpoint that this process may bind. `release` gives it up."""

    def __init__(self, address: str) -> None:
        """Lock `address`. Raises `StoreLockedError` that names who has it, `DataStoreError` if it cannot be had."""
        self.address = address
        self._path = socket_path(address)
        self._lock: Lock | None = None
        self._bound = False
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = Lock(self._path, f"The endpoint {address}")
            _check_free(self._path)
        except OSError as error:
            self.release()
            if isinstance(error, DataStoreError):
                raise
            raise DataStoreError(f"The endpoint {address} cannot be used: {error}") from None
        except DataStoreError:
            self.release()
            raise

    def bind(self, context: zmq.Context[zmq.Socket[bytes]], *, most_bytes: int) -> zmq.Socket[bytes]:
        """Return a socket that answers REQ sockets at the address, and drops peers that send more than `most_bytes`.

        A ROUTER, which is REP without its rule that replies leave in the order of the requests: a read need not wait
        for the commit of the write before it. docs/performance.md compares it with several REP sockets in one loop.
        """
        server = context.socket(zmq.ROUTER)
        server.setsockopt(zmq.MAXMSGSIZE, most_bytes)
        server.setsockopt(zmq.BACKLOG, _BACKLOG)
        server.setsockopt(zmq.LINGER, 1000)
        before = os.umask(0o177)
        try:
            server.bind(self.address)
        except zmq.ZMQError as error:
            server.close()
            raise DataStoreError(f"The endpoint {self.address} cannot be bound: {error}") from None
        finally:
            os.umask(before)
        self._bound = self._path is not None
        return server

    def release(self) -> None:
        """Let others have the endpoint. libzmq leaves the socket's file behind."""
        if self._bound and self._path is not None:
            self._path.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.release()


def _check_free(path: Path) -> None:
    """Raise if something lies at `path` that is not the socket of a daemon that died."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise DataStoreError(f"The endpoint ipc://{path} cannot be used: something that is no socket lies there.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    raise StoreLockedError(f"The endpoint ipc://{path} is in use by process {struct.unpack('3i', credentials)[0]}.")
