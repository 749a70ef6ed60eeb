"""Clients at work: each a process that asks, waits for the answer and asks again."""

import itertools
import multiprocessing
import random
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from kvclient.bench import OPERATIONS
from kvclient.bench.latencies import Latencies
from kvclient.client.blocking import Client
from kvclient.contract.errors import DataStoreError

# Processes that have imported what they need, and that share nothing with a parent that has threads.
_processes = multiprocessing.get_context("forkserver")
_START_SECONDS = 60


@dataclass(frozen=True)
class Load:
    """What the clients do."""

    clients: int
    value_bytes: int
    mix: dict[str, int]
    """How often each of `OPERATIONS` is done, relative to the others."""
    seconds: float
    ttl: float | None = None
    """Of the keys that are created."""


class Clients:
    """Clients from `start` to `end`. `operations` rises while they work; `results` waits until they are done."""

    def __init__(self, endpoint: str, load: Load, timeout: float) -> None:
        self._endpoint = endpoint
        self._load = load
        self._timeout = timeout
        self._counts = _processes.RawArray("Q", load.clients)
        self._ends: list[Connection] = []
        self._working: list[Any] = []

    def start(self) -> None:
        """Start the clients, and let them begin all at once, when all are connected.

        Raises the error of one that cannot be.
        """
        _processes.set_forkserver_preload(["kvclient.bench.load"])
        resource_tracker.ensure_running()  # it would unblock the signals
        with _blocked(signal.SIGINT):  # also in all clients: a terminal sends it to them too, and we end them
            forkserver.ensure_running()
        for number in range(self._load.clients):
            with _blocked(signal.SIGINT, signal.SIGTERM):  # half started, a client would complain with a traceback
                self._start(number)
        # Pipes and no barrier: a signal that ends us in the middle of its locks would leave them in disorder.
        for end in self._ends:
            if not end.poll(_START_SECONDS):
                raise DataStoreError(f"The clients did not start within {_START_SECONDS} s.")
            outcome = _receive(end)
            if isinstance(outcome, DataStoreError):
                raise outcome
        for end in self._ends:
            with suppress(BrokenPipeError):  # of one that was killed `results` tells
                end.send(None)

    def _start(self, number: int) -> None:
        ours, theirs = _processes.Pipe()
        arguments = self._endpoint, self._load, self._timeout, number, self._counts, theirs
        process = _processes.Process(target=_work, args=arguments, daemon=True)
        process.start()
        theirs.close()
        self._ends.append(ours)
        self._working.append(process)

    @property
    def operations(self) -> int:
        """How many operations have been done so far."""
        return sum(self._counts)

    def done(self, seconds: float) -> bool:
        """Wait so long at most, and tell whether a client has finished."""
        return bool(wait(self._ends, seconds))

    def results(self) -> tuple[dict[str, Latencies], float]:
        """Return the times of each kind of operation, and the seconds that the slowest client was at work.

        Raises the first error that a client met.
        """
        outcomes = [outcome for end in self._ends if (outcome := _receive(end)) is not None]
        for outcome in outcomes:
            if isinstance(outcome, DataStoreError):
                raise outcome
        if len(outcomes) < len(self._ends):
            raise DataStoreError("A client process was killed, so there is no result.")
        times = {name: Latencies.merged(outcome[0][name] for outcome in outcomes) for name in OPERATIONS}
        return {name: taken for name, taken in times.items() if taken.count}, max(outcome[1] for outcome in outcomes)

    def end(self) -> None:
        """End clients that still work."""
        for process in self._working:
            process.terminate()
            process.join()


def _work(endpoint: str, load: Load, timeout: float, number: int, counts: Any, parent: Connection) -> None:
    with suppress(BrokenPipeError, ConnectionResetError, EOFError):  # it was killed: nobody wants to know any more
        try:
            with Client(endpoint, timeout=timeout, autostart=False) as store:
                client = _Client(store, load)
                parent.send(None)
                parent.recv()
                parent.send(client.work(lambda done: counts.__setitem__(number, done)))
        except DataStoreError as error:
            parent.send(error)


@contextmanager
def _blocked(*numbers: signal.Signals) -> Iterator[None]:
    """Have signals that arrive in the block take effect behind it, and never in a process that is started in it."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _receive(end: Connection) -> Any:
    try:
        return end.recv()
    except EOFError:
        return None


class _Client:
    """Works on keys of its own, so that every operation succeeds."""

    def __init__(self, store: Client, load: Load) -> None:
        self._store = store
        self._load = load
        self._value = "v" * max(0, load.value_bytes - 2)  # and two quotes
        self._names = (f"bench-{secrets.token_urlsafe(9)}-{turn}" for turn in itertools.count())
        self._keys: list[str] = []
        self._create()

    def work(self, report: Callable[[int], None]) -> tuple[dict[str, Latencies], float]:
        """Do what the mix says until the time is over; return the times and the seconds that it took."""
        times = {name: Latencies() for name in OPERATIONS}
        perform = {"create": self._create, "read": self._read, "delete": self._delete}
        names, weights = list(self._load.mix), list(self._load.mix.values())
        started = now = time.perf_counter_ns()
        until = started + int(self._load.seconds * 1e9)
        done = 0
        while now < until:
            for name in random.choices(names, weights, k=64):
                called = time.perf_counter_ns()
                operation = name if self._keys else "create"
                perform[operation]()
                now = time.perf_counter_ns()
                times[operation].add(now - called)
                done += 1
                report(done)
                if now >= until:
                    break
        return times, (now - started) / 1e9

    def _create(self) -> None:
        key = next(self._names)
        self._store.create(key, self._value, self._load.ttl)
        self._keys.append(key)

    def _read(self) -> None:
        self._store.read(random.choice(self._keys))

    def _delete(self) -> None:
        self._store.delete(self._keys.pop())
