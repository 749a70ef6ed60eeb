"""Three ways to the same operations: the store itself, `LocalDataStore`, and a daemon over the wire.

A driver takes requests and gives replies as the wire has them. It can end its store and open it again, well or badly.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from clock import Clock
from kvclient.contract.calls import Call
from kvclient.contract.errors import DataStoreError
from kvd import LocalDataStore
from kvd.asked import Asked
from kvd.backend.file.events import FileEvents
from kvd.backend.file.store.operations import CHANGES, READS
from kvd.backend.file.store.operations.upkeep import Forget, Sweep, WriteDown
from kvd.backend.file.store.replies import changed
from kvd.replies import refusal
from kvd.requests.parser import Parser
from kvd.watch.hub import Hub
from processes import Daemon, wait_until
from stores import Opened
from wire_line import WireLine

SMALL = {"compact_min_bytes": 1 << 30}
"""Compactions come when the test says so."""


class StoreDriver:
    """The store, step by step: nothing happens by itself."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "store.json"
        self.clock = Clock()
        self._open()

    def _open(self) -> None:
        self._opened = Opened(self.file, self.clock, sync="never", **SMALL)
        self._store = self._opened.store
        self._parser = Parser(self._store.limits)
        self._hub = Hub(FileEvents(self._store), 10)

    def step_clock(self, seconds: float) -> None:
        self.clock.now += seconds

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.ask_all([request])[0]

    def ask_all(self, requests: list[dict[str, Any]], *, upkeep: bool = False) -> list[dict[str, Any]]:
        """Have changes decided in one group, with what the store has to do by itself before them."""
        asked = [Asked() for _ in requests]
        waiting = []
        for request, asker in zip(requests, asked, strict=True):
            try:
                waiting.append((asker, self._parser.parse(json.dumps(request).encode())))
            except DataStoreError as error:
                asker.refuse(error)
        if waiting and waiting[0][1].op not in CHANGES:
            self._read(*waiting[0])
        else:
            self._change(waiting, upkeep=upkeep)
        return [json.loads(asker.body) for asker in asked]

    def _read(self, asker: Asked, request: Any) -> None:
        try:
            if request.op == "watch":
                self._hub.watch(request, asker)
                while not asker.answered:
                    self._hub.work()
                return
            answer = READS[request.op](self._store.keys, request)
            while not isinstance(answer, bytes):
                try:
                    next(answer)
                except StopIteration as end:
                    answer = end.value
                else:
                    self.chores(1)  # a count waits until clears are written down
            asker.reply(answer)
        except DataStoreError as error:
            asker.refuse(error)

    def _change(self, waiting: list[tuple[Asked, Any]], *, upkeep: bool) -> None:
        while waiting:
            tasks = [(None, chore) for chore in self._due(1)] if upkeep else []
            group = self._store.decide([*tasks, *waiting])
            if group.results:
                self._store.write(group)
                self._store.finish(group)
            results = group.results[len(tasks) :]
            for (asker, _), result in zip(waiting, results, strict=False):
                if isinstance(result, DataStoreError):
                    asker.refuse(result)
                else:
                    asker.reply(changed(result))
            waiting = waiting[len(results) :]
            if waiting and not results:
                self.chores(1000)

    def _due(self, most: int) -> list[Any]:
        keys = self._store.keys
        due: list[Any] = [Forget(most)] if keys.dropped(1) else []
        if keys.clears:
            due.append(WriteDown(most))
        expiry = self._store.next_expiry()
        if expiry is not None and expiry <= self.clock():
            due.append(Sweep(most))
        return due

    def chores(self, most: int) -> None:
        """Do some of what the store has to do by itself."""
        for chore in self._due(most):
            self._opened.do(chore)

    def compact(self) -> None:
        self._opened.compact()

    def reopen(self) -> None:
        self._opened.close()
        self._open()

    def crash(self) -> None:
        self._opened.crash()
        self._open()

    def close(self) -> None:
        self._store.keys.owners.close()
        self._opened.close()


class LocalDriver:
    """A `LocalDataStore`, whose thread sweeps when it gets round to it."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "store.json"
        self.clock = Clock()
        self._open()

    def _open(self) -> None:
        self._store = LocalDataStore(self.file, clock=self.clock, sync="never", **SMALL)

    def step_clock(self, seconds: float) -> None:
        self.clock.now += seconds
        os.eventfd_write(self._store._wake, 1)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._store._call(Call(json.dumps(request).encode(), False, lambda fields: fields))
        except DataStoreError as error:
            return json.loads(refusal(error))

    def ask_all(self, requests: list[dict[str, Any]], *, upkeep: bool = False) -> list[dict[str, Any]]:  # noqa: ARG002
        return [self.ask(request) for request in requests]

    def chores(self, most: int) -> None:  # noqa: ARG002
        os.eventfd_write(self._store._wake, 1)

    def compact(self) -> None:
        inode = self.file.stat().st_ino
        self._store.compact()
        wait_until(lambda: self.file.stat().st_ino != inode and not self._store.status()["compacting"])

    def reopen(self) -> None:
        self._store.close()
        self._open()

    crash = reopen

    def close(self) -> None:
        self._store.close()


class DaemonDriver:
    """A daemon and one client. Time is what it is, so what is to expire expires at once."""

    def __init__(self, directory: Path) -> None:
        self._daemon = Daemon(directory, sync="never", compact_min_bytes=str(1 << 30)).start()
        self.file = self._daemon.file
        self.clock = time.time
        self._line = WireLine(self._daemon.endpoint)

    def step_clock(self, seconds: float) -> None:
        pass

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._line.ask(request)

    def ask_all(self, requests: list[dict[str, Any]], *, upkeep: bool = False) -> list[dict[str, Any]]:  # noqa: ARG002
        return [self.ask(request) for request in requests]

    def chores(self, most: int) -> None:
        pass

    def compact(self) -> None:
        inode = self.file.stat().st_ino
        self.ask({"op": "compact"})
        wait_until(lambda: self.file.stat().st_ino != inode and not self.ask({"op": "status"})["status"]["compacting"])

    def reopen(self) -> None:
        assert self._daemon.stop() == 0
        self._daemon.start()

    def crash(self) -> None:
        self._daemon.kill()
        self._daemon.start()

    def close(self) -> None:
        self._line.close()
        self._daemon.kill()


Driver = StoreDriver | LocalDriver | DaemonDriver
