"""Which transport serves an endpoint."""

import ipaddress
import socket
from typing import Protocol

from kvclient.contract.errors import DataStoreError
from kvd.server.endpoint import Endpoint
from kvd.server.peers import Peers
from kvd.server.poller import Poller
from kvd.server.transport.native import Native


class Transport(Protocol):
    """What brings in the requests of its peers (`Peer.receive`), as the poller tells, and takes out their replies."""

    def close(self) -> None:
        """Disconnect all, after a moment for those that have not yet taken their replies."""
        ...


class Opener:
    """Makes the transports of a daemon, of the kind that each endpoint is for."""

    def __init__(self, poller: Poller, peers: Peers, *, most_bytes: int, kind: str, insecure_tcp: bool) -> None:
        """`kind` is what serves Unix sockets. `insecure_tcp` lets everybody in who can reach a TCP port."""
        self._poller = poller
        self._peers = peers
        self._most_bytes = most_bytes
        self._kind = kind
        self._insecure_tcp = insecure_tcp

    def open(self, endpoint: Endpoint) -> Transport:
        """Serve an endpoint. Raises `DataStoreError` if that is not possible or not safe."""
        listener = endpoint.bind()
        if listener.family == socket.AF_UNIX and self._kind == "native":
            return Native(listener, self._poller, self._peers, most_bytes=self._most_bytes)
        from kvd.server.transport.curve import Gatekeeper  # libzmq is loaded only where it is used
        from kvd.server.transport.libzmq import Libzmq

        try:
            encrypted = listener.family != socket.AF_UNIX and not self._is_insecure(listener, endpoint)
            gatekeeper = Gatekeeper() if encrypted else None
            return Libzmq(listener, self._poller, self._peers, most_bytes=self._most_bytes, gatekeeper=gatekeeper)
        except BaseException:
            listener.close()
            raise

    def _is_insecure(self, listener: socket.socket, endpoint: Endpoint) -> bool:
        if not self._insecure_tcp:
            return False
        if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
            raise DataStoreError(
                f"Setting insecure_tcp = true is for a loopback address such as tcp://127.0.0.1:7411; on "
                f"{endpoint.address} everybody on the network could read and change everything. Without it the "
                "connections are encrypted, and those get in whose key is allowed: 'kvctl keys --help'."
            )
        return True
