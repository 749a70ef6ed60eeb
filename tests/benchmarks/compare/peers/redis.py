"""Redis with its own Python client over a Unix socket."""

from collections.abc import Sequence
from pathlib import Path

from peers.peer import VALUE, AsyncSession, ServerPeer, Session


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
