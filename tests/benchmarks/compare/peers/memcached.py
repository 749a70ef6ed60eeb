"""memcached: memory only, and batches that are neither atomic nor conditional."""

import getpass
from collections.abc import Sequence
from pathlib import Path

from peers.peer import VALUE, ServerPeer, Session


class Memcached(ServerPeer):
    """memcached over a Unix socket, with pymemcache."""

    name = "memcached"
    program = "memcached"
    package = "pymemcache"

    def start(self, directory: Path) -> None:
        self.launch(["memcached", "-s", directory / "s.sock", "-u", getpass.getuser(), "-m", "1024"], directory)

    def connect(self) -> Session:
        from pymemcache.client.base import Client

        return _Session(Client(f"unix:{self.socket}"))


class _Session:
    def __init__(self, client) -> None:
        self._client = client
        self.read = client.get

    def create(self, key: str) -> None:
        assert self._client.add(key, VALUE, noreply=False)

    def batch(self, keys: Sequence[str]) -> None:
        assert not self._client.set_many(dict.fromkeys(keys, VALUE), noreply=False)
