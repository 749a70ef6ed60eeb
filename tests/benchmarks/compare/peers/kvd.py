"""kvd: over its client, over a bare REQ socket, and in-process."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from peers.peer import OBJECT, READ_KEYS, AsyncSession, Peer, ServerPeer, Session, free_port

COMMAND = [sys.executable, "-m", "kvd"]


class Kvd(ServerPeer):
    """A daemon, used through `kvclient.Client` and `kvclient.AsyncClient`."""

    asynchronous = True

    def __init__(self, sync: str, prefix: Sequence[str] = ()) -> None:
        self.name = f"kvd {sync}"
        self.durable = sync == "always"
        self._sync = sync
        self._prefix = prefix

    @property
    def endpoint(self) -> str:
        return f"ipc://{self.socket}"

    def start(self, directory: Path) -> None:
        options = ["--file", directory / "store.json", "--endpoint", f"ipc://{directory}/s.sock", "--sync", self._sync]
        self.launch([*self._prefix, *COMMAND, *options], directory)

    def connect(self) -> Session:
        from kvclient import Client

        return _ClientSession(Client(self.endpoint, timeout=60))

    def connect_async(self) -> AsyncSession:
        from kvclient import AsyncClient

        return _AsyncSession(AsyncClient(self.endpoint, timeout=60))


class _ClientSession:
    # LocalDataStore has the same methods.
    def __init__(self, client) -> None:
        self._client = client
        self.read = client.read

    def create(self, key: str) -> None:
        self._client.create(key, OBJECT)

    def batch(self, keys: Sequence[str]) -> None:
        self._client.batch_create(dict.fromkeys(keys, OBJECT))


class _AsyncSession:
    def __init__(self, client) -> None:
        self._client = client
        self.read = client.read
        self.close = client.close

    async def create(self, key: str) -> None:
        await self._client.create(key, OBJECT)


class LibzmqKvd(Kvd):
    """A daemon that serves its Unix socket by libzmq."""

    workloads = ("create", "read")
    asynchronous = False

    def __init__(self) -> None:
        super().__init__("always")
        self.name = "kvd, libzmq"

    def launch(self, command: Sequence[str | Path], directory: Path, **options: object) -> None:
        super().launch(command, directory, env={**os.environ, "KVD_TRANSPORT": "libzmq"}, **options)


class CurveKvd(Kvd):
    """A daemon over TCP on a loopback address, encrypted with CURVE."""

    workloads = ("create", "read")
    asynchronous = False

    def __init__(self) -> None:
        super().__init__("always")
        self.name = "kvd CURVE"

    def launch(self, command: Sequence[str | Path], directory: Path, **options: object) -> None:
        config, self._network = directory / "config", f"tcp://127.0.0.1:{free_port()}"
        env = {**os.environ, "XDG_CONFIG_HOME": str(config), "KVD_NETWORK": self._network}
        env["KVD_ACCESS"] = '[{"key": "bench", "read": [""], "write": [""]}]'

        def keys(*arguments: str) -> str:
            command = [sys.executable, "-c", "from kvclient.cli import main; main()", "keys", *arguments]
            return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()

        keys("allow", "bench", "--", keys("new", "bench"))
        self._server_key, self._key = keys("server"), str(config / "kvd" / "keys" / "bench.key_secret")
        super().launch(command, directory, env=env, **options)

    def connect(self) -> Session:
        from kvclient import Client

        return _ClientSession(Client(self._network, timeout=60, server_key=self._server_key, key=self._key))


class PlainKvd(Kvd):
    """A daemon, read with a bare REQ socket: what the server and the wire cost, without the client."""

    workloads = ("read",)
    asynchronous = False

    def __init__(self) -> None:
        super().__init__("always")
        self.name = "kvd, bare REQ"

    def load(self) -> None:
        super().connect().batch(READ_KEYS)

    def connect(self) -> Session:
        return PlainSession(self.endpoint)


class PlainSession:
    """Sends and receives what a read is on the wire."""

    def __init__(self, endpoint: str) -> None:
        import zmq

        self._socket = zmq.Context.instance().socket(zmq.REQ)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(endpoint)

    def read(self, key: str) -> None:
        self._socket.send(b'{"op":"read","key":"%s"}' % key.encode())
        self._socket.recv()


class LocalKvd(Peer):
    """`LocalDataStore`: the store without a daemon, in the one process that uses it."""

    name = "kvd in-process"
    durable = True
    most_clients = 1

    def start(self, directory: Path) -> None:
        self._file = directory / "store.json"

    def connect(self) -> Session:
        from kvd import LocalDataStore

        return _ClientSession(LocalDataStore(self._file))
