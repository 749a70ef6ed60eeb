"""What every line to the daemon has, blocking or awaited: a target, ids for its requests, and what its errors mean."""

import os
import socket
from abc import ABC, abstractmethod

from kvclient.client.attempts import went_away
from kvclient.contract.calls import identified
from kvclient.contract.endpoint import Target
from kvclient.contract.errors import AccessDeniedError, DaemonUnavailableError, DataStoreError, RequestError
from kvclient.contract.ownership import explain_refusal
from kvclient.contract.zmtp import Conversation, Encryption, ForgedError, RefusedError

CONNECT_SECONDS = 1.0
"""Connect timeout, in seconds."""
_MOST_BROKEN_OFF = 3
"""So many handshakes in a row that were broken off have a reason. One may be a restart."""
_MOST_HANG_UPS = 2
"""A request during which the peer hung up so often is too large for it. Once may be a restart."""


class LineLost(Exception):
    """The line broke, or no reply came in time. No OSError, which a signal handler of the program may raise as well."""


class HandshakeLost(LineLost):
    """The line broke before each side knew the other."""


class UnreachableError(Exception):
    """The daemon cannot be connected to, for a reason that waiting does not remove."""


class Socket(socket.socket):
    """A socket that closes without a warning when it is forgotten.

    Whose it is closes it in `__del__`, and that may be too late: of what refers to itself the collector may find the
    socket first.
    """

    def __del__(self) -> None:
        if self.fileno() >= 0:  # it may never have been one
            self.close()


class Line(ABC):
    """A line has one request under way at a time, and belongs to the process that made it."""

    def __init__(self, target: Target) -> None:
        self.pid = os.getpid()
        self._target = target
        self._answered = False
        self._client = os.urandom(9).hex()
        self._number = 0
        self._sent = False
        """Whether the request under way has been sent to its end, so that the daemon may carry it out."""
        self._hang_ups = 0
        """How often the peer hung up in the middle of the request."""
        self._broken_off = 0
        """How many handshakes in a row were broken off, by a peer on a network."""

    def identify(self, request: bytes) -> bytes:
        """Return a changing request with the next id of this line."""
        self._number += 1
        return identified(request, self._client, self._number)

    def _encryption(self) -> Encryption | None:
        """Return what encrypts a new connection, None where there are no keys. Raises `DataStoreError` for its keys."""
        if self._target.keys is None:
            return None
        from kvclient.contract import keys  # few need this, and it takes time to load

        try:
            from kvclient.contract.curve import Curve
        except ModuleNotFoundError:
            raise DataStoreError(
                f"The connection to {self._target.endpoint} is encrypted, which takes PyNaCl: pip install "
                "'kvd-store[network]'."
            ) from None
        return Curve(keys.public_key(self._target.keys.server), keys.own(self._target.keys.own))

    @abstractmethod
    def close(self) -> None:
        """Disconnect. The next request connects again."""

    def _not_connected(self, error: OSError) -> Exception:
        """Return what it comes to that no connection could be made. Raises `AccessDeniedError`."""
        if not isinstance(error, PermissionError | socket.gaierror):
            return LineLost()
        if self._target.socket is not None:
            explain_refusal(self._target.socket.parent)
        return UnreachableError(error.strerror)

    def _unavailable(self, error: UnreachableError, *, changes: bool) -> DataStoreError:
        unavailable = DaemonUnavailableError(f"The daemon on {self._target.endpoint} cannot be reached: {error}.")
        return went_away(unavailable, changes=changes) if self._sent else unavailable

    def _check_loopback(self, connected: socket.socket) -> None:
        """Raise `AccessDeniedError` where what is sent could be read on its way to another machine."""
        if self._target.keys is not None:
            return
        from ipaddress import ip_address  # few connect over TCP, and a short script should start fast

        try:
            address = connected.getpeername()[0].partition("%")[0]
        except OSError:  # it has hung up, as will be seen
            return
        if not ip_address(address).is_loopback:
            raise AccessDeniedError(
                f"Nothing was sent to {self._target.endpoint}: without a server_key and a key (docs/network.md) the "
                "connection to another machine would not be encrypted."
            )

    def _check_handshakes(self, error: BaseException) -> None:
        """Raise `AccessDeniedError` when the peer keeps breaking off handshakes, of which `error` may be another.

        If it has ever answered, it is the network that breaks off.
        """
        if not isinstance(error, HandshakeLost) or self._target.socket is not None or self._answered:
            return
        self._broken_off += 1
        if self._broken_off >= _MOST_BROKEN_OFF:
            advice = (
                "Its connections may be encrypted: that takes a server_key and a key (docs/network.md)."
                if self._target.keys is None
                else "Is server_key the key of that daemon ('kvctl keys server' shows it where it runs)?"
            )
            raise AccessDeniedError(
                f"The daemon on {self._target.endpoint} breaks off before each side knows the other. {advice} "
                "Nothing was sent."
            )

    def _check_hang_ups(self, request: bytes) -> None:
        """Raise `RequestError` for a request that is too large to be sent."""
        if self._hang_ups == _MOST_HANG_UPS and not self._sent:
            raise RequestError(
                f"The daemon hung up while the request of {len(request)} bytes was being sent; it may be larger "
                "than the daemon takes (setting max_request_bytes). It was not carried out."
            )


def no_kvd(endpoint: str, error: Exception, conversation: Conversation) -> Exception:
    """Return the error of whoever is answered with what kvd would not say, or is refused before that.

    What is not what the daemon encrypted was changed on its way: then the line is lost, and the request repeated.
    """
    if conversation.encrypted:
        return LineLost()
    if isinstance(error, ForgedError):
        return HandshakeLost()
    if isinstance(error, RefusedError):
        return AccessDeniedError(
            f"The daemon on {endpoint} does not let this key in: 'kvctl keys list' shows its public half, and 'kvctl "
            "keys allow NAME KEY', where the daemon runs, lets it in. Nothing was sent."
        )
    return DataStoreError(f"What answered is no kvd: {endpoint} {error}.")
