"""What every line to the daemon has, blocking or awaited: a target, ids for its requests, and what its errors mean."""

import os
import socket
from abc import ABC, abstractmethod

from kvclient.client.attempts import went_away
from kvclient.contract.calls import identified
from kvclient.contract.endpoint import Target
from kvclient.contract.errors import DaemonUnavailableError, DataStoreError, RequestError
from kvclient.contract.ownership import explain_refusal

CONNECT_SECONDS = 1.0
"""Connect timeout, in seconds."""
_MOST_HANG_UPS = 2
"""A request during which the peer hung up so often is too large for it. Once may be a restart."""


class LineLost(Exception):
    """The line broke, or no reply came in time. No OSError, which a signal handler of the program may raise as well."""


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

    def identify(self, request: bytes) -> bytes:
        """Return a changing request with the next id of this line."""
        self._number += 1
        return identified(request, self._client, self._number)

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

    def _check_hang_ups(self, request: bytes) -> None:
        """Raise `RequestError` for a request that is too large to be sent."""
        if self._hang_ups == _MOST_HANG_UPS and not self._sent:
            raise RequestError(
                f"The daemon hung up while the request of {len(request)} bytes was being sent; it may be larger "
                "than the daemon takes (setting max_request_bytes). It was not carried out."
            )


def no_kvd(endpoint: str, error: Exception) -> DataStoreError:
    """Return the error of whoever is answered with what kvd would not say."""
    return DataStoreError(f"What answered is no kvd: {endpoint} {error}.")
