"""Taking an endpoint: nobody else's socket or file is ever replaced.

An `ipc://` path is locked and looked at first, and only a socket that nobody listens on any more is removed. A `tcp://`
port is listened on at once: nothing else keeps others off it. A socket that systemd listens on
(`kvd.server.activation`) is accepted from as it is, and stays systemd's.
"""

import errno
import os
import socket
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from kvclient.contract.endpoint import default_endpoint, socket_path, tcp_address
from kvclient.contract.errors import DataStoreError, StoreLockedError
from kvclient.contract.ownership import check_passable, make_private, make_safe
from kvd.lock import Lock

# Connections of which nothing was received yet; a burst of clients larger than this waits for its turn to connect.
_BACKLOG = 1024


class Endpoint:
    """An endpoint that this process may bind. `release` gives it up."""

    @classmethod
    def of(cls, setting: str | None, store: str, passed: Mapping[Path, int], *, shared: bool = False) -> Self:
        """Lock the endpoint that the `setting` names, or else the socket that systemd passed, or else the default.

        Raises as the constructor does.
        """
        if setting is None and len(passed) == 1:
            (path,) = passed
            return cls(f"ipc://{path}", passed)
        default = default_endpoint(store)
        address = setting if setting is not None else default
        return cls(address, passed, private=address == default, shared=shared)

    def __init__(
        self, address: str, passed: Mapping[Path, int] | None = None, *, private: bool = False, shared: bool = False
    ) -> None:
        """Lock `address`. Raises `StoreLockedError` that names who has it, `DataStoreError` if it cannot be had,
        `AccessDeniedError` if other users could put a socket of theirs in its place.

        `passed` are the listening sockets that systemd passed, by path: none, or the one at `address`. `private` makes
        the socket's directory this user's alone; else it is enough that nobody else can write to it. `shared` lets all
        users connect, which the modes on the way to the socket have to allow.
        """
        self.address = address
        self._path = socket_path(address)
        self._lock: Lock | None = None
        self._passed = _own(self._path, passed) if passed else None
        self._shared = shared
        self._bound: os.stat_result | None = None
        self._tcp = _listen_on_tcp(address) if self._path is None else None
        if self._path is None:
            return
        try:
            (make_private if private else make_safe)(self._path.parent)
            if shared:
                check_passable(self._path.parent)
            self._lock = Lock(self._path, f"The endpoint {address}")
            if self._passed is None:
                _check_free(self._path)
        except OSError as error:
            self.release()
            if isinstance(error, DataStoreError):
                raise
            raise DataStoreError(f"The endpoint {address} cannot be used: {error}") from None
        except DataStoreError:
            self.release()
            raise

    def bind(self) -> socket.socket:
        """Return a socket that listens at the address and does not block."""
        try:
            if self._passed is not None:
                listener = socket.socket(fileno=os.dup(self._passed))
            elif self._tcp is not None:
                listener, self._tcp = self._tcp, None
            else:
                assert self._path is not None
                listener = self._listen_at(self._path)
        except OSError as error:
            if isinstance(error, DataStoreError):
                raise
            raise DataStoreError(f"The endpoint {self.address} cannot be bound: {error}") from None
        listener.setblocking(False)
        return listener

    def _listen_at(self, path: Path) -> socket.socket:
        path.unlink(missing_ok=True)  # nobody listens there; see `_check_free`
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o111 if self._shared else 0o177)
        try:
            listener.bind(str(path))
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(before)
        self._bound = path.lstat()
        return listener

    def release(self) -> None:
        """Let others have the endpoint. A socket that systemd passed, or put in the place of ours, is systemd's."""
        if self._path is not None and self._bound is not None and _is_at(self._path, self._bound):
            self._path.unlink(missing_ok=True)
        self._bound = None
        if self._tcp is not None:
            self._tcp.close()
        if self._lock is not None:
            self._lock.release()


def _listen_on_tcp(address: str) -> socket.socket:
    """Listen on `tcp://HOST:PORT`; a HOST of `*` stands for all IPv4 addresses of the machine."""
    host, port = tcp_address(address)
    try:
        place = socket.getaddrinfo("0.0.0.0" if host == "*" else host, port, type=socket.SOCK_STREAM)[0]  # noqa: S104
        return socket.create_server(place[4][:2], family=place[0], backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StoreLockedError(f"The endpoint {address} is in use by another process.") from None
        raise DataStoreError(f"The endpoint {address} cannot be bound: {error}") from None


def _own(path: Path | None, passed: Mapping[Path, int]) -> int:
    """Return the descriptor of the passed socket at `path`. Raises `DataStoreError` if systemd listens elsewhere."""
    for listens_at, fd in passed.items():
        if path is not None and listens_at.resolve() == path.resolve() and len(passed) == 1:
            return fd
    raise DataStoreError(
        f"systemd listens on {', '.join(map(str, passed))}, and the settings name the endpoint "
        f"{path or 'of another kind'}. Make them the same: 'kvctl service install' writes the units anew."
    )


def _is_at(path: Path, found: os.stat_result) -> bool:
    """Tell whether the file at `path` is still the one that was found; inode numbers alone are soon used again."""
    try:
        now = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(now, found) and now.st_ctime_ns == found.st_ctime_ns


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
