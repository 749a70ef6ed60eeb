"""What a million keys cost on their way in and out: rates, memory of both processes, and what other clients notice.

    python tests/benchmarks/moving.py [--records 1000000] [--value-bytes 60] [--format lines|object] [--directory DIR]

In a scratch directory, `kvctl import` fills an empty store, `kvctl export` writes it to a file, and `kvctl import
--on-conflict replace` writes all of it once more. Meanwhile a probing client creates, reads and deletes keys.
Printed are seconds, keys a second, the most memory that kvctl had, what the daemon has beside its index, and the
probe's slowest request; first, its slowest on the same daemon undisturbed. `--directory /dev/shm` leaves the disk's own
pauses out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from scale import Probe, memory, requests

from processes import KVCTL, Daemon, environment


def lines(records: int, value_bytes: int, *, as_object: bool) -> Iterator[str]:
    """Yield the lines of a file as `kvctl export` writes it."""
    value = "x" * (value_bytes - 2)
    if not as_object:
        for number in range(records):
            yield json.dumps({"key": f"key{number:08d}", "value": value})
        return
    yield "{"
    for number in range(records):
        comma = "," if number < records - 1 else ""
        yield f'"key{number:08d}": {json.dumps({"value": value})}{comma}'
    yield "}"


def run(daemon: Daemon, records: int, *arguments: str) -> None:
    """Run kvctl beside a probe, and print what it took."""
    started = time.monotonic()
    with Probe(requests(daemon.endpoint)) as probe:
        process = subprocess.Popen(
            [*KVCTL, *arguments, "--endpoint", daemon.endpoint],
            env=environment(daemon.directory),
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        said = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    if process.returncode != 0:
        raise SystemExit(said)
    name = " ".join(word for word in arguments if "/" not in word)
    peak = usage.ru_maxrss / 1024
    print(
        f"{name:<30}{seconds:7.1f} s {records / seconds:9,.0f} keys/s, kvctl at most {peak:4.0f} MiB, "
        f"the daemon {memory(daemon) >> 20:4} MiB; others: {probe}"
    )


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--value-bytes", type=int, default=60)
    parser.add_argument("--format", choices=["lines", "object"], default="lines")
    parser.add_argument("--seconds", type=float, default=10, help="of the undisturbed probes")
    parser.add_argument("--directory", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kvd-", dir=options.directory) as scratch:
        directory = Path(scratch)
        source = str(directory / "source")
        with open(source, "w") as file:
            for line in lines(options.records, options.value_bytes, as_object=options.format == "object"):
                print(line, file=file)
        daemon = Daemon(directory).start()
        try:
            for when in ("empty", "full"):
                if when == "full":
                    run(daemon, options.records, "import", source)
                with Probe(requests(daemon.endpoint)) as probe:
                    time.sleep(options.seconds)
                print(f"{f'undisturbed, {when}':<30}{probe}")
            exported = str(directory / "exported")
            run(daemon, options.records, "export", "--format", options.format, exported)
            run(daemon, options.records, "import", "--on-conflict", "replace", exported)
        finally:
            daemon.stop()


if __name__ == "__main__":
    main()
