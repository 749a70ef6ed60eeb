"""Runs a workload on a peer from several client processes at once, peers and rounds interleaved."""

import contextlib
import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from peers.peer import READ_KEYS, Peer, Session

BATCH = 1000
_fork = multiprocessing.get_context("fork")
Result = dict[str, object]


@contextlib.contextmanager
def running(peers: Sequence[Peer], directory: Path) -> Iterator[None]:
    """Start the peers, each with the keys that are read; stop them in the end."""
    with contextlib.ExitStack() as stack:
        for number, peer in enumerate(peers):
            own = directory / str(number)
            own.mkdir()
            peer.start(own)
            stack.callback(peer.stop)
            if "read" in peer.workloads:
                loader = _fork.Process(target=peer.load)
                loader.start()
                loader.join()
                if loader.exitcode != 0:
                    raise RuntimeError(f"{peer.name} could not be filled.")
        yield


def compare(
    peers: Sequence[Peer],
    workloads: Sequence[str],
    clients: Sequence[int],
    rounds: int,
    seconds: float,
    progress: Callable[[str], None],
) -> list[Result]:
    """Return for each workload, number of clients and peer the operations per second of each round."""
    measured: dict[tuple[str, int, str], list[float]] = {}
    for turn in range(rounds):
        for workload, count in itertools.product(workloads, clients):
            # Each round starts with another peer, so that none always follows the same one.
            for peer in peers[turn % len(peers) :] + peers[: turn % len(peers)]:
                if workload not in peer.workloads or count > (peer.most_clients or count):
                    continue
                progress(f"round {turn + 1}/{rounds}: {workload}, {count} clients, {peer.name}")
                os.sync()  # what others wrote is not this one's to wait for
                rates = in_processes(peer, count, _measure, workload, seconds, f"{turn}{workload[0]}{count}")
                measured.setdefault((workload, count, peer.name), []).append(sum(rates))
    return [
        {"workload": workload, "clients": count, "peer": name, "rates": rates}
        for (workload, count, name), rates in measured.items()
    ]


def in_processes(peer: Peer, count: int, work: Callable[..., float], *arguments: object) -> list[float]:
    """Return what `work` returned in each of `count` processes that all started at once."""
    barrier, results = _fork.Barrier(count), _fork.SimpleQueue()
    processes = [
        _fork.Process(target=_run, args=(peer, number, barrier, results, work, *arguments), daemon=True)
        for number in range(count)
    ]
    for process in processes:
        process.start()
    outcomes = [results.get() for _ in processes]
    for process in processes:
        process.join()
    errors = [outcome for outcome in outcomes if isinstance(outcome, str)]
    if errors:
        raise RuntimeError(f"{peer.name}: {errors[0]}")
    return outcomes


def _run(peer: Peer, number: int, barrier, results, work: Callable[..., float], *arguments: object) -> None:
    try:
        results.put(work(peer, number, barrier, *arguments))
    except Exception as error:  # noqa: BLE001  # the parent raises it
        barrier.abort()
        results.put(f"{type(error).__name__}: {error}")


def _measure(peer: Peer, number: int, barrier, workload: str, seconds: float, prefix: str) -> float:
    """Repeat an operation for so many seconds; return how many a second were done."""
    perform = _operation(peer.connect(), workload, f"{prefix}.{number}.")
    perform()  # connects
    barrier.wait(60)
    started = time.perf_counter()
    for done in itertools.count():
        elapsed = time.perf_counter() - started
        if elapsed >= seconds and done:
            return done / elapsed
        perform()
    raise AssertionError


def _operation(session: Session, workload: str, prefix: str) -> Callable[[], None]:
    numbers = itertools.count()
    if workload == "create":
        return lambda: session.create(f"{prefix}{next(numbers)}")
    if workload == "read":
        keys = itertools.cycle(READ_KEYS)
        return lambda: session.read(next(keys))
    return lambda: session.batch([f"{prefix}{next(numbers)}" for _ in range(BATCH)])
