"""diskcache: SQLite and files behind the interface of a cache, in every client process."""

from collections.abc import Sequence
from pathlib import Path

from peers.peer import VALUE, Peer, Session


class Diskcache(Peer):
    """Its defaults (SQLite with synchronous NORMAL), except that nothing is evicted and no write is given up."""

    name = "diskcache"
    package = "diskcache"

    def start(self, directory: Path) -> None:
        self._directory = directory

    def connect(self) -> Session:
        import diskcache

        return _Session(diskcache.Cache(str(self._directory), timeout=60, eviction_policy="none"))


class _Session:
    def __init__(self, cache) -> None:
        self._cache = cache
        self.read = cache.get

    def create(self, key: str) -> None:
        assert self._cache.add(key, VALUE, retry=True)

    def batch(self, keys: Sequence[str]) -> None:
        with self._cache.transact(retry=True):
            for key in keys:
                self._cache.add(key, VALUE)
