"""A native transport without a daemon behind it: who connects is answered by the test."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from kvd.server.peers import Peer, Peers
from kvd.server.poller import Poller
from kvd.server.transport.native import Native
from kvd.worker import Wakeup


class Listener:
    """Listens at a path."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        listener = socket.create_server(str(path), family=socket.AF_UNIX)
        listener.setblocking(False)
        self.path = path
        self.peers = Peers()
        self._wakeup = Wakeup()
        self._poller = Poller(self._wakeup)
        self.transport = Native(listener, self._poller, self.peers, most_bytes=most_bytes)

    def poll(self, timeout: float) -> list[Peer]:
        """Return who can be received from."""
        return self._poller.poll(timeout)

    @contextlib.contextmanager
    def answering(self, answer: Callable[[bytes], bytes]) -> Iterator[None]:
        """Answer every request meanwhile."""
        ending = threading.Event()

        def serve() -> None:
            while not ending.is_set():
                for peer in self.poll(0.02):
                    if (request := peer.receive()) is not None:
                        peer.reply(answer(request))

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        ending.set()
        thread.join()

    def close(self) -> None:
        """Disconnect all."""
        self.transport.close()
        self._poller.close()
        self._wakeup.close()
