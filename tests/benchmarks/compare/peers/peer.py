"""What every peer is: a store that is started once and then used from as many client processes as asked.

All peers get the same keys and the same bytes as value. kvd's client takes and gives Python objects and so pays for
JSON on top; the others are handed the bytes as they are.
"""

import json
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

OBJECT = {"name": "v" * 52}
VALUE = json.dumps(OBJECT, separators=(",", ":")).encode()
READ_KEYS = [f"read{number:04}" for number in range(1000)]
"""Keys that are there before anything is read."""


class Session(Protocol):
    """A peer as one client process sees it. It may offer some of these only; see `Peer.workloads`."""

    def create(self, key: str) -> None: ...
    def read(self, key: str) -> None: ...
    def batch(self, keys: Sequence[str]) -> None: ...


class AsyncSession(Protocol):
    """A peer as the tasks of one event loop see it."""

    async def create(self, key: str) -> None: ...
    async def read(self, key: str) -> None: ...
    async def close(self) -> None: ...


class Peer(ABC):
    """A store to compare. `start` it, `connect` in each client process, `stop` it."""

    name: str
    workloads: tuple[str, ...] = ("create", "read", "batch")
    durable = False
    """Whether an acknowledged write survives a power failure; decides which kvd it is compared with."""
    limit = False
    """Whether it is no store, but what no store can be faster than."""
    most_clients: int | None = None
    asynchronous = False
    """Whether it has a client for asyncio: `connect_async`."""
    program: str | None = None
    package: str | None = None

    def missing(self) -> str | None:
        """Return what would have to be installed, None if nothing."""
        if self.program is not None and shutil.which(self.program) is None:
            return f"the program {self.program}"
        if self.package is not None and find_spec(self.package) is None:
            return f"the Python package {self.package}"
        return None

    @abstractmethod
    def start(self, directory: Path) -> None:
        """Bring the store up, empty, with all it writes below `directory`."""

    @abstractmethod
    def connect(self) -> Session:
        """Return a session for this process."""

    def connect_async(self) -> AsyncSession:
        """Return a session for this event loop."""
        raise NotImplementedError

    def load(self) -> None:
        """Create the keys that are read; called once, in a process of its own."""
        self.connect().batch(READ_KEYS)

    def stop(self) -> None:  # noqa: B027  # some have nothing to end
        """End what `start` started."""


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class ServerPeer(Peer):
    """A peer that is a process."""

    process: subprocess.Popen[bytes] | None = None

    def launch(self, command: Sequence[str | Path], directory: Path, **options: object) -> None:
        """Start the process and wait until it has made its socket."""
        self.socket = directory / "s.sock"
        with (directory / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **options)
        deadline = time.monotonic() + 20
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start: {(directory / 'log').read_text()}")
            time.sleep(0.01)

    def stop(self) -> None:  # some have nothing to end
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=60)
