"""What is measured of kvd apart from throughput: a whole kvctl process, and reads beside writes to a slow disk."""

import itertools
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from peers.kvd import Kvd
from peers.peer import READ_KEYS, Session

SYNC_MILLISECONDS = 20
WRITERS = 8
_STRACE = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", os.devnull, "-e", "trace=fdatasync"]
_STRACE += ["-e", f"inject=fdatasync:delay_exit={SYNC_MILLISECONDS * 1000}"]
_fork = multiprocessing.get_context("fork")


def start_up(kvd: Kvd, turns: int = 20) -> dict[str, float]:
    """Return the median seconds of `kvctl read KEY`, and of a Python that imports zmq and does nothing."""
    kvctl = Path(sys.executable).with_name("kvctl")
    commands = {"kvctl read": [kvctl, "read", READ_KEYS[0]], "import zmq": [sys.executable, "-c", "import zmq"]}
    variables = {**os.environ, "KVD_ENDPOINT": kvd.endpoint}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(turns):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, env=variables, stdout=subprocess.DEVNULL, check=True)
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(measured) for name, measured in times.items()}


def slow_disk_missing() -> str | None:
    """Return what would have to be installed for `slow_disk`."""
    return "the program strace" if shutil.which("strace") is None else None


def slow_disk(directory: Path, seconds: float) -> dict[str, float]:
    """Return how long a read takes, in seconds, while clients write to a disk that takes long to sync.

    The kernel lets strace hold the thread that syncs; all other system calls run untouched.
    """
    kvd = Kvd("always", prefix=_STRACE)
    kvd.start(directory)
    try:
        loader = _fork.Process(target=kvd.load)
        loader.start()
        loader.join()
        writers = [_fork.Process(target=_write, args=(kvd, number), daemon=True) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        results = _fork.SimpleQueue()
        reader = _fork.Process(target=_read, args=(kvd, seconds, results), daemon=True)
        reader.start()
        times, creates = results.get()
        reader.join()
        for writer in writers:
            writer.kill()
            writer.join()
    finally:
        # strace keeps signals to itself.
        stopper = _fork.Process(target=_stop, args=[kvd])
        stopper.start()
        stopper.join()
        kvd.stop()
    if creates > seconds * WRITERS * 1000 / SYNC_MILLISECONDS:
        raise RuntimeError("The writers were not slowed down, so this shows nothing.")
    percentiles = statistics.quantiles(times, n=100, method="inclusive")
    return {"p50": percentiles[49], "p99": percentiles[98], "max": max(times), "creates": creates / seconds}


def _stop(kvd: Kvd) -> None:
    from kvclient import Client

    Client(kvd.endpoint).stop()


def _write(kvd: Kvd, number: int) -> None:
    session = kvd.connect()
    for turn in itertools.count():
        session.create(f"w{number}.{turn}")


def _read(kvd: Kvd, seconds: float, results) -> None:
    from kvclient import Client

    session: Session = kvd.connect()
    status = Client(kvd.endpoint).status
    until = time.perf_counter() + 0.5  # the writers are at work by then
    while time.perf_counter() < until:
        session.read(READ_KEYS[0])
    before, until, times = status()["revision"], time.perf_counter() + seconds, []
    for key in itertools.cycle(READ_KEYS):
        started = time.perf_counter()
        if started > until:
            break
        session.read(key)
        times.append(time.perf_counter() - started)
    results.put((times, status()["revision"] - before))
