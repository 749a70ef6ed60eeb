"""Processes at work with locks and queues, each of which writes down what it has, while they are killed and stopped.

A line is written before and after whatever counts, straight to the file, so that it is there if the process is killed.
As a program: `recorded.py ENDPOINT ROLE KIND LOG UNTIL` works until the file UNTIL exists.
"""

import asyncio
import itertools
import json
import os
import queue
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

sys.path.insert(0, str(Path(__file__).parents[1]))

import broken_recipes
from coordination import Hold

from kvclient import AsyncClient, Client, DaemonUnavailableError, KeyNotFoundError
from processes import Daemon, wait_until

T = TypeVar("T")

PLACES = 3
"""Of the semaphore."""
_TIMEOUT = 120


class Log:
    """What a process writes down."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, what: str, name: str, revision: int = 0) -> None:
        line = {"what": what, "name": name, "pid": os.getpid(), "revision": revision, "time": time.monotonic()}
        os.write(self._fd, json.dumps(line).encode() + b"\n")


def work() -> None:
    """Take some time for something."""
    time.sleep(random.choice([0, 0, 0.001, 0.005, 0.02]))


def patiently(ask: Callable[[], T]) -> T:
    """Return what a call returns. Where it finds no daemon nothing was done, and it is asked again."""
    while True:
        try:
            return ask()
        except DaemonUnavailableError:
            time.sleep(0.05)


async def patiently_async(ask: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await ask()
        except DaemonUnavailableError:
            await asyncio.sleep(0.05)


def locks(store: Client, kind: str, log: Log, until: Path, shared: int) -> None:
    """Hold the lock again and again."""
    lock = broken_recipes.LeaseLock(store, "x", shared) if kind == "broken" else store.lock("x", shared=shared)
    while not until.exists():
        patiently(lock.acquire)
        log.write("has", "x", lock.revision)
        work()
        log.write("lets go", "x", lock.revision)
        with suppress(DaemonUnavailableError):  # then the next acquire sees to it
            lock.release()


async def async_locks(endpoint: str, log: Log, until: Path, shared: int) -> None:
    """Hold the lock again and again, in a task, beside others that are cancelled while they wait for it."""
    async with AsyncClient(endpoint, timeout=_TIMEOUT) as store:
        while not await asyncio.to_thread(until.exists):
            lock, second = store.lock("x", shared=shared), store.lock("x", shared=shared)
            await patiently_async(lock.acquire)
            log.write("has", "x", lock.revision)
            gives_up = asyncio.create_task(patiently_async(second.acquire))
            await asyncio.sleep(random.choice([0, 0.001, 0.01]))
            gives_up.cancel()
            await asyncio.wait([gives_up])
            log.write("lets go", "x", lock.revision)
            for held in (lock, second):
                if held.revision is not None:
                    with suppress(DaemonUnavailableError):
                        await held.release()


def queues(store: Client, kind: str):
    """Return the queue that is meant."""
    if kind == "real":
        return store.queue("x", max_deaths=None)
    return {"popping": broken_recipes.PoppingQueue, "leased": broken_recipes.LeasedQueue}[kind](store, "x")


def puts(store: Client, kind: str, log: Log, until: Path) -> None:
    """Put jobs, each with a name of its own."""
    jobs = queues(store, kind)
    for number in itertools.count():
        if until.exists():
            return
        name = f"{os.getpid()}-{number}"
        log.write("puts", name)
        patiently(lambda name=name: jobs.put(name))
        log.write("has put", name)
        time.sleep(0.005)


def takes(store: Client, kind: str, log: Log, until: Path) -> None:
    """Take jobs and say that they are done."""
    jobs = queues(store, kind)
    before = None
    while not until.exists():
        try:
            job = jobs.next(before, wait=0.5) if before is not None else jobs.get(wait=0.5)
        except queue.Empty:
            job = None
        except DaemonUnavailableError:
            if before is not None:  # it was done before that, or is not
                with suppress(KeyNotFoundError):
                    patiently(lambda before=before: jobs.done(before))
            job = None
        if before is not None:
            log.write("done", before.value, before.revision)
            before = None
        if job is None:
            continue
        log.write("has", job.value, job.revision)
        work()
        log.write("lets go", job.value, job.revision)
        if kind == "real" and random.random() < 0.5:
            before = job
            continue
        patiently(lambda job=job: jobs.done(job))
        log.write("done", job.value, job.revision)
    if before is not None:
        patiently(lambda: jobs.done(before))
        log.write("done", before.value, before.revision)


def main() -> None:
    endpoint, role, kind, path, ends = sys.argv[1:]
    log, until = Log(path), Path(ends)
    shared = PLACES if role.startswith("semaphore") else 1
    if role.endswith("task"):
        asyncio.run(async_locks(endpoint, log, until, shared))
        return
    with Client(endpoint, timeout=_TIMEOUT) as store:
        match role:
            case "lock" | "semaphore":
                locks(store, kind, log, until, shared)
            case "puts":
                puts(store, kind, log, until)
            case "takes":
                takes(store, kind, log, until)


class Recording(NamedTuple):
    """What happened."""

    holds: list[Hold]
    killed: dict[int, float]
    """When a process was going to be killed, on the machine's monotonic clock."""
    promised: set[str]
    perhaps: set[str]
    """Jobs that somebody put, or meant to when he was killed."""
    done: Counter[str]
    """What was done to processes, how often."""


class Troupe:
    """Processes at work, of which always as many are there of each role."""

    def __init__(self, daemon: Daemon, kind: str) -> None:
        self._daemon = daemon
        self._kind = kind
        self._log = daemon.directory / "recorded"
        self._log.touch()
        self.at_work: dict[subprocess.Popen[bytes], str] = {}
        self.killed: dict[int, float] = {}
        self.done: Counter[str] = Counter()

    def until(self, role: str) -> Path:
        return self._daemon.directory / f"enough of {role}"

    def start(self, role: str) -> None:
        words = [self._daemon.endpoint, role, self._kind, str(self._log), str(self.until(role))]
        self.at_work[subprocess.Popen([sys.executable, __file__, *words])] = role

    def strike(self, chance: random.Random) -> None:
        """Wait until something more was done, and then kill or stop one of the processes, or kill the daemon."""
        size, wanted = self._log.stat().st_size, chance.randint(1, 2000)
        wait_until(lambda: self._log.stat().st_size >= size + wanted, 100)
        process = chance.choice(list(self.at_work))
        assert process.poll() is None, f"a process ended by itself: {self.at_work[process]}"
        what = chance.choices(["kill the daemon", "kill", "stop", "stop and kill"], [1, 3, 8, 1])[0]
        self.done[what] += 1
        if what == "kill the daemon":
            self._daemon.kill()
            self._daemon.start()
        elif what == "kill":
            self.kill(process)
        else:
            process.send_signal(signal.SIGSTOP)
            time.sleep(chance.uniform(0, 0.2))  # not to wait for something: it is stopped for so long
            if what == "stop":
                process.send_signal(signal.SIGCONT)
            else:
                self.kill(process)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        role = self.at_work.pop(process)
        self.killed[process.pid] = time.monotonic()
        process.kill()
        process.wait()
        self.start(role)

    def end(self, role: str) -> None:
        """Have those of a role come to their end."""
        self.until(role).touch()
        for process in [process for process, its in self.at_work.items() if its == role]:
            assert process.wait(timeout=120) == 0
            del self.at_work[process]

    def recording(self) -> Recording:
        open_holds: dict[tuple[int, str, int], Hold] = {}
        put: dict[str, bool] = {}
        for line in map(json.loads, self._log.read_text().splitlines()):
            what, name, at = line["what"], line["name"], (line["pid"], line["name"], line["revision"])
            match what:
                case "has":
                    open_holds[at] = Hold(name, line["pid"], line["revision"], line["time"], None)
                case "lets go":
                    open_holds[at] = open_holds[at]._replace(ended=line["time"])
                case "done":
                    open_holds[at] = open_holds[at]._replace(done=True)
                case "puts":
                    put[name] = False
                case "has put":
                    put[name] = True
        promised = {name for name, told in put.items() if told}
        return Recording(list(open_holds.values()), self.killed, promised, put.keys() - promised, self.done)

    def close(self) -> None:
        for process in self.at_work:
            process.kill()
            process.wait()


def record(daemon: Daemon, roles: dict[str, int], enough: Callable[[Recording], bool], kind: str = "real") -> Recording:
    """Have so many processes of each role work through troubles until what they wrote down is enough, and return it.

    Jobs are taken until there are none.
    """
    troupe, chance = Troupe(daemon, kind), random.Random(0)
    try:
        for role, count in roles.items():
            for _ in range(count):
                troupe.start(role)
        while not enough(troupe.recording()):
            for _ in range(5):
                troupe.strike(chance)
        if "puts" in roles:
            troupe.end("puts")
            with Client(daemon.endpoint, timeout=_TIMEOUT) as store:
                jobs = queues(store, kind)
                wait_until(lambda: jobs.size() == 0, 200)
        for role in roles:
            if role != "puts":
                troupe.end(role)
        return troupe.recording()
    finally:
        troupe.close()


if __name__ == "__main__":
    main()
