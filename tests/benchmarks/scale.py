"""What a gigabyte costs: rates, opening, memory, and what requests notice of compaction and mass expiry.

    python tests/benchmarks/scale.py [--records 1000000] [--value-bytes 940] [--rounds 5] [--directory DIR]

A file of that many records is written once, in a scratch directory. Then, side by side and in turns:

- rates of create, read and delete through a daemon on that file and one on an empty file;
- opening that file, and `json.load` of it, each in a process of its own, with its peak memory;
- the daemon's memory per key, beyond an empty daemon's;
- the slowest request of a probing client: undisturbed, while the file is compacted, while all keys expire at once; and
  the slowest of a few small syncs of another file meanwhile: disks, virtual ones above all, have pauses of their own.
  `--directory /dev/shm` leaves the disk out.

Prints a table with what docs/performance.md says must be reached. Needs about twice the file's size of disk.
"""

import argparse
import itertools
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).parents[1]))

from kvclient import Client
from kvd.backend.file.engine.interface import NEVER, Put
from kvd.backend.file.engine.snapshot import Snapshot
from processes import Daemon

_JSON_LOAD = "import json, sys; json.load(open(sys.argv[1], 'rb'))"
_OPEN = """
import sys
from pathlib import Path
from kvd.backend.file.engine.file import JsonFile
JsonFile(Path(sys.argv[1])).close()
"""
_TIMED = """
import resource, time
started = time.perf_counter()
{}
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def write_file(path: Path, records: int, value_bytes: int, expires_at: float = NEVER) -> None:
    """Write a data file of so many records."""
    value = b'"%s"' % (b"x" * (value_bytes - 2))
    snapshot = Snapshot(path, records)
    for number in range(records):
        snapshot.add(f"key{number:08d}", Put(value, number + 1, expires_at))
    snapshot.finish({})
    snapshot.close_object()
    snapshot.publish(path)
    snapshot.leave()  # it holds the lock


def run_alone(program: str, path: Path) -> tuple[float, float]:
    """Return the seconds and the peak MiB of a Python process that runs `program` on `path`."""
    command = [sys.executable, "-c", _TIMED.format(program), str(path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds, peak = map(float, output.split())
    return seconds, peak


def memory(daemon: Daemon) -> int:
    """Return the bytes of memory that belong to the daemon alone."""
    assert daemon.process is not None
    rows = Path(f"/proc/{daemon.process.pid}/smaps_rollup").read_text().splitlines()
    return sum(int(row.split()[1]) for row in rows if row.startswith(("Private_Dirty:", "Private_Clean:"))) * 1024


def rates(client: Client, label: str, value: str, operations: int = 4000) -> dict[str, float]:
    """Return operations per second of create, read and delete of keys of our own."""
    keys = [f"{label}-{number}" for number in range(operations)]
    found = {}
    for name, call in (
        ("create", lambda key: client.create(key, value)),
        ("read", client.read),
        ("delete", client.delete),
    ):
        started = time.perf_counter()
        for key in keys:
            call(key)
        found[name] = operations / (time.perf_counter() - started)
    return found


class Probe:
    """A thread that makes one call after the other and notes how long each took."""

    def __init__(self, calls: Iterator[Callable[[], object]], pause: float = 0.0) -> None:
        """`pause` is the seconds between two calls."""
        self._calls = calls
        self._pause = pause
        self._stop = threading.Event()
        self.seconds: list[float] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for call in self._calls:
            if self._stop.wait(self._pause):
                return
            started = time.perf_counter()
            call()
            self.seconds.append(time.perf_counter() - started)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def slowest(self) -> str:
        """The slowest call, as text."""
        return f"slowest {max(self.seconds) * 1000:7.2f} ms"

    def __str__(self) -> str:
        p99 = sorted(self.seconds)[int(len(self.seconds) * 0.99)]
        return f"{len(self.seconds):>8,} requests, p99 {p99 * 1000:6.2f} ms, {self.slowest}"


_NUMBERS = itertools.count()
"""Shared by all probes: one that ends between a create and its delete leaves its key."""


def requests(endpoint: str) -> Iterator[Callable[[], object]]:
    """Yield what a client does that creates, reads and deletes all the time."""
    client = Client(endpoint, timeout=60)
    for number in _NUMBERS:
        key = f"probe-{number}"
        yield partial(client.create, key, 1)
        yield partial(client.read, key)
        yield partial(client.delete, key)


def syncs(directory: Path) -> Iterator[Callable[[], object]]:
    """Yield small writes to the same disk, each with its sync: what the disk alone does."""
    with (directory / "alone").open("wb", buffering=0) as file:
        file.write(b" " * 4096)

        def write() -> None:
            file.seek(0)
            file.write(b"x" * 200)
            os.fdatasync(file.fileno())

        yield from itertools.repeat(write)


def started(directory: Path, **settings: str) -> Daemon:
    """Start a daemon whose large file may take a while to open."""
    return Daemon(directory, **settings).start()


def compare_rates(big: Daemon, empty: Daemon, rounds: int, value_bytes: int) -> None:
    """Print rates on the two files, in turns."""
    found: dict[str, list[dict[str, float]]] = {"big": [], "empty": []}
    for number in range(rounds):
        for name, daemon in (("big", big), ("empty", empty)):
            with Client(daemon.endpoint) as client:
                found[name].append(rates(client, f"r{number}", "x" * (value_bytes - 2)))
    for operation in ("create", "read", "delete"):
        full, none = (statistics.median(one[operation] for one in found[name]) for name in ("big", "empty"))
        rates_of = f"{full:10,.0f}/s on the large file {none:10,.0f}/s on an empty one"
        print(f"{operation:<8}{rates_of}   ratio {full / none:.2f}  (≥ 0.9)")


def compare_opening(path: Path, rounds: int) -> None:
    """Print the time and memory of opening the file, against json.load."""
    ours, loads = [], []
    for _ in range(rounds):
        ours.append(run_alone(_OPEN, path))
        loads.append(run_alone(_JSON_LOAD, path))
    (seconds, peak), (load_seconds, load_peak) = (
        (statistics.median(one[0] for one in runs), max(one[1] for one in runs)) for runs in (ours, loads)
    )
    print(
        f"open    {seconds:6.2f} s, peak {peak:,.0f} MiB; json.load {load_seconds:6.2f} s, peak {load_peak:,.0f} MiB",
        end="",
    )
    print(f"   ratio {seconds / load_seconds:.2f}  (≤ 1.0)")


def probe(daemon: Daemon, title: str, busy: Callable[[], bool]) -> None:
    """Print what a probing client notices for as long as `busy()` is true, and the disk alone meanwhile."""
    with Probe(requests(daemon.endpoint)) as found, Probe(syncs(daemon.directory), pause=0.01) as disk:
        while busy():
            time.sleep(0.05)
    print(f"{title:<28}{found}; the disk alone: {disk.slowest}")


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--value-bytes", type=int, default=940)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10, help="of the undisturbed probe")
    parser.add_argument("--directory", type=Path, default=None)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(prefix="kvd-", dir=options.directory) as scratch:
        big_at, empty_at, expiring_at = (Path(scratch) / name for name in ("b", "e", "x"))
        for directory in (big_at, empty_at, expiring_at):
            directory.mkdir()
        file = big_at / "store.json"
        write_file(file, options.records, options.value_bytes)
        print(f"{options.records:,} records, {file.stat().st_size:,} bytes")
        compare_opening(file, max(1, options.rounds // 2))
        big, empty = started(big_at), started(empty_at)
        try:
            print(f"memory  {(memory(big) - memory(empty)) / options.records:.0f} bytes a key  (≤ 300)")
            compare_rates(big, empty, options.rounds, options.value_bytes)
            ends = time.monotonic() + options.seconds
            probe(big, "undisturbed", lambda: time.monotonic() < ends)
            with Client(big.endpoint) as client:
                client.compact()
                probe(big, "while compacting", lambda: client.status()["compacting"])
        finally:
            big.stop()
            empty.stop()
        shutil.rmtree(big_at)
        expires_at = time.time() + 5 + options.records / 40_000  # written, opened and probed by then
        write_file(expiring_at / "store.json", options.records, 20, expires_at)
        daemon = started(expiring_at)
        try:
            with Client(daemon.endpoint) as client:
                time.sleep(max(0.0, expires_at - time.time() - 1))
                before = client.status()["keys"]
                probe(daemon, f"while {before:,} keys expire", lambda: client.status()["keys"] > before // 100)
        finally:
            daemon.stop()


if __name__ == "__main__":
    main()
