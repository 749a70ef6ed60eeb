"""Redis with its own Python client over a Unix socket."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from peers.peer import VALUE, AsyncSession, ServerPeer, Session, free_port


class Redis(ServerPeer):
    """redis-server with an append-only file and no snapshots."""

    program = "redis-server"
    package = "redis"
    asynchronous = True

    def __init__(self, appendfsync: str) -> None:
        self.name = f"Redis {appendfsync}"
        self.durable = appendfsync == "always"
        self._appendfsync = appendfsync

    def start(self, directory: Path) -> None:
        settings = {
            "port": "0",
            "unixsocket": f"{directory}/s.sock",
            "dir": f"{directory}",
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "save": "",
        }
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self.launch(["redis-server", *options], directory)

    def connect(self) -> Session:
        import redis

        return _Session(redis.Redis(unix_socket_path=str(self.socket)))

    def connect_async(self) -> AsyncSession:
        import redis.asyncio

        return _AsyncSession(redis.asyncio.Redis(unix_socket_path=str(self.socket)))


class TlsRedis(Redis):
    """Over TCP on a loopback address, encrypted with TLS."""

    workloads = ("create", "read")
    asynchronous = False

    def __init__(self) -> None:
        super().__init__("always")
        self.name, self.durable = "Redis TLS", False  # it is compared with what is encrypted

    def missing(self) -> str | None:
        return super().missing() or (None if shutil.which("openssl") else "the program openssl")

    def start(self, directory: Path) -> None:
        self._port, self._certificate = free_port(), directory / "certificate.pem"
        key = directory / "key.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"),
                *("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", self._certificate),
            ],
            check=True,
            capture_output=True,
        )
        super().start(directory)

    def launch(self, command: Sequence[str | Path], directory: Path, **options: object) -> None:
        tls = ["--tls-port", str(self._port), "--tls-auth-clients", "no"]
        tls += ["--tls-cert-file", str(self._certificate), "--tls-key-file", str(directory / "key.pem")]
        super().launch([*command, *tls], directory, **options)

    def connect(self) -> Session:
        import redis

        return _Session(redis.Redis(host="localhost", port=self._port, ssl=True, ssl_ca_certs=str(self._certificate)))


class _Session:
    def __init__(self, client) -> None:
        self._client = client
        self.read = client.get

    def create(self, key: str) -> None:
        assert self._client.set(key, VALUE, nx=True)

    def batch(self, keys: Sequence[str]) -> None:
        pipeline = self._client.pipeline(transaction=True)
        for key in keys:
            pipeline.set(key, VALUE, nx=True)
        assert all(pipeline.execute())


class _AsyncSession:
    def __init__(self, client) -> None:
        self._client = client
        self.read = client.get
        self.close = client.aclose

    async def create(self, key: str) -> None:
        assert await self._client.set(key, VALUE, nx=True)
