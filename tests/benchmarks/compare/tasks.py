"""Runs a workload on a peer from many tasks of one event loop, peers and rounds interleaved."""

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence

from peers.peer import READ_KEYS, AsyncSession, Peer
from runner import Result, in_processes

WORKLOADS = ("create", "read")


def compare_tasks(
    peers: Sequence[Peer], tasks: Sequence[int], rounds: int, seconds: float, progress: Callable[[str], None]
) -> list[Result]:
    """Return for each workload, number of tasks and peer with an asynchronous client the operations per second of each
    round.
    """
    peers = [peer for peer in peers if peer.asynchronous]
    measured: dict[tuple[str, int, str], list[float]] = {}
    for turn in range(rounds):
        for workload, count in itertools.product(WORKLOADS, tasks):
            # Each round starts with another peer, so that none always follows the same one.
            for peer in peers[turn % len(peers) :] + peers[: turn % len(peers)]:
                progress(f"round {turn + 1}/{rounds}: {workload}, {count} tasks, {peer.name}")
                os.sync()  # what others wrote is not this one's to wait for
                (rate,) = in_processes(peer, 1, _process, count, workload, seconds, f"t{turn}{count}")
                measured.setdefault((workload, count, peer.name), []).append(rate)
    return [
        {"workload": workload, "clients": count, "peer": name, "rates": rates}
        for (workload, count, name), rates in measured.items()
    ]


def _process(peer: Peer, _number: int, _barrier, count: int, workload: str, seconds: float, prefix: str) -> float:
    return asyncio.run(_measure(peer, count, workload, seconds, prefix))


async def _measure(peer: Peer, count: int, workload: str, seconds: float, prefix: str) -> float:
    """Have so many tasks repeat an operation for so many seconds; return how many a second were done."""
    session = peer.connect_async()
    numbers = itertools.count()
    await asyncio.gather(*(_repeat(session, workload, prefix, numbers, time.perf_counter()) for _ in range(count)))
    started = time.perf_counter()  # all are connected
    done = sum(
        await asyncio.gather(*(_repeat(session, workload, prefix, numbers, started + seconds) for _ in range(count)))
    )
    elapsed = time.perf_counter() - started
    await session.close()
    return done / elapsed


async def _repeat(session: AsyncSession, workload: str, prefix: str, numbers: Iterator[int], until: float) -> int:
    """Return how often the operation was done by then, once at least."""
    for done in itertools.count(1):
        number = next(numbers)
        if workload == "create":
            await session.create(f"{prefix}.{number}")
        else:
            await session.read(READ_KEYS[number % len(READ_KEYS)])
        if time.perf_counter() >= until:
            return done
    raise AssertionError
