"""SQLite in write-ahead mode, opened by every client process itself."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from peers.peer import VALUE, Peer, Session


class Sqlite(Peer):
    """A table of keys and values. Synchronous FULL syncs every commit, NORMAL only checkpoints."""

    def __init__(self, synchronous: str) -> None:
        self.name = f"SQLite {synchronous}"
        self.durable = synchronous == "FULL"
        self._synchronous = synchronous

    def start(self, directory: Path) -> None:
        self._file = directory / "store.sqlite"
        database = self._open()
        database.execute("CREATE TABLE store (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
        database.close()

    def connect(self) -> Session:
        return _Session(self._open())

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._file, timeout=60, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(f"PRAGMA synchronous={self._synchronous}")
        return database


class _Session:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def create(self, key: str) -> None:
        self._database.execute("INSERT INTO store VALUES (?, ?)", (key, VALUE))

    def read(self, key: str) -> None:
        self._database.execute("SELECT value FROM store WHERE key = ?", (key,)).fetchone()

    def batch(self, keys: Sequence[str]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT INTO store VALUES (?, ?)", [(key, VALUE) for key in keys])
        self._database.execute("COMMIT")
