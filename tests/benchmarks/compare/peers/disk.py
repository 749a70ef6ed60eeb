"""The limit of durable writes: the bytes of a commit and an `fdatasync`, from every client to a file of its own."""

import os
from collections.abc import Sequence
from pathlib import Path

from peers.peer import VALUE, Peer, Session

_RECORD = b'"%s":{"revision":1,"value":%s}\n'


class Disk(Peer):
    """No store at all: nothing is checked, found again or shared."""

    name = "write + fdatasync"
    limit = True
    workloads = ("create", "batch")
    durable = True

    def start(self, directory: Path) -> None:
        self._directory = directory

    def connect(self) -> Session:
        return _Session(self._directory / str(os.getpid()))


class _Session:
    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def create(self, key: str) -> None:
        self.batch([key])

    def batch(self, keys: Sequence[str]) -> None:
        os.write(self._fd, b"".join(_RECORD % (key.encode(), VALUE) for key in keys))
        os.fdatasync(self._fd)
