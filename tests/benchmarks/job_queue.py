"""How many durable jobs a second go through a queue, from producer to consumer processes; beside a Redis list.

    python tests/benchmarks/job_queue.py [--producers 4] [--consumers 4] [--jobs 8000] [--rounds 5] [--next]

Each job is put, taken and done by a call of its own, and each of these is on the disk when it returns. With Redis that
is RPUSH, BLMOVE to a list of the consumer's own, and LREM, with appendfsync always; what a dead consumer had stays in
its list there. With --next, to be done and to take the next one is one call: Queue.next, and a transaction of LREM and
LMOVE. The rounds of the two alternate; printed are the medians and their ratio. Without redis-server, or its
Python client, kvd is measured alone.
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from kvclient import Client
from processes import Daemon, wait_until

VALUE = {"image": "cat.png", "size": [1200, 800], "note": "x" * 20}


def kvd_producer(endpoint: str, jobs: int, start: Any, _: bool) -> None:
    """Put so many jobs."""
    with Client(endpoint, timeout=60) as store:
        queue = store.queue("jobs")
        len(queue)
        start.wait()
        for _number in range(jobs):
            queue.put(VALUE)


def kvd_consumer(endpoint: str, jobs: int, start: Any, together: bool) -> None:
    """Take so many jobs, and say that they are done."""
    with Client(endpoint, timeout=60) as store:
        queue = store.queue("jobs")
        len(queue)
        start.wait()
        if together:
            job = queue.get(30)
            for _ in range(jobs - 1):
                job = queue.next(job, 30)
            queue.done(job)
            return
        for _ in range(jobs):
            queue.done(queue.get(30))


def redis_producer(socket: str, jobs: int, start: Any, _: bool) -> None:
    """Put so many jobs."""
    import json

    import redis

    client = redis.Redis(unix_socket_path=socket)
    client.ping()
    start.wait()
    for _number in range(jobs):
        client.rpush("jobs", json.dumps(VALUE))


def redis_consumer(socket: str, jobs: int, start: Any, together: bool) -> None:
    """Take so many jobs, and say that they are done."""
    import json

    import redis

    client = redis.Redis(unix_socket_path=socket)
    client.ping()
    mine = f"taken:{os.getpid()}"
    start.wait()
    done = None
    for _ in range(jobs):
        if together and done is not None:
            pipeline = client.pipeline(transaction=True)
            pipeline.lrem(mine, 1, done)
            pipeline.lmove("jobs", mine, "LEFT", "RIGHT")
            _, job = pipeline.execute()
        else:
            job = None
        job = job or client.blmove("jobs", mine, 30, "LEFT", "RIGHT")
        json.loads(job)
        done = job
        if not together:
            client.lrem(mine, 1, done)
    if together:
        client.lrem(mine, 1, done)


def rate(
    producer: Callable[..., None], consumer: Callable[..., None], address: str, options: argparse.Namespace
) -> float:
    """Return how many jobs a second went through."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(options.producers + options.consumers + 1)
    processes = [
        context.Process(target=role, args=(address, options.jobs // number, start, options.next))
        for role, number in ((producer, options.producers), (consumer, options.consumers))
        for _ in range(number)
    ]
    for process in processes:
        process.start()
    start.wait(60)
    began = time.monotonic()
    for process in processes:
        process.join()
    seconds = time.monotonic() - began
    assert all(process.exitcode == 0 for process in processes)
    return options.jobs / seconds


def kvd_round(options: argparse.Namespace) -> float:
    """Measure kvd once, on a new file."""
    with tempfile.TemporaryDirectory(prefix="kvd-", dir=options.directory) as scratch:
        daemon = Daemon(Path(scratch)).start()
        try:
            found = rate(kvd_producer, kvd_consumer, daemon.endpoint, options)
            with Client(daemon.endpoint) as store:
                assert len(store.queue("jobs")) == 0
            return found
        finally:
            daemon.stop()


def redis_round(options: argparse.Namespace) -> float:
    """Measure Redis once, on a new file."""
    with tempfile.TemporaryDirectory(prefix="kvd-", dir=options.directory) as scratch:
        socket = f"{scratch}/s.sock"
        settings = {"port": "0", "unixsocket": socket, "dir": scratch, "save": ""}
        settings |= {"appendonly": "yes", "appendfsync": "always"}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        server = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: Path(socket).exists())
            return rate(redis_producer, redis_consumer, socket, options)
        finally:
            server.terminate()
            server.wait()


def main() -> None:
    """Measure, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--producers", type=int, default=4)
    parser.add_argument("--consumers", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=8000, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--next", action="store_true", help="done and the next one in one call")
    parser.add_argument("--directory", type=Path, default=None)
    options = parser.parse_args()
    peers = {"kvd": kvd_round}
    if shutil.which("redis-server") and find_spec("redis"):
        peers["Redis"] = redis_round
    rates: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(options.rounds):
        for name, measure in peers.items():
            rates[name].append(measure(options))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, found in rates.items():
        print(f"{name:<6}{medians[name]:8,.0f} jobs/s  ({min(found):,.0f} to {max(found):,.0f})")
    if "Redis" in rates:
        print(f"kvd is at {medians['kvd'] / medians['Redis']:.2f} of Redis")


if __name__ == "__main__":
    main()
