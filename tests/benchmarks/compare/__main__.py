"""kvd beside its peers on this machine, in one run: `python tests/benchmarks/compare`.

Needs `pip install --group bench .` and, for all peers, the Debian packages redis-server, memcached and strace.
docs/benchmarks.md says what is compared and how.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from peers import all_peers
from peers.kvd import Kvd
from peers.peer import Peer
from probes import slow_disk, slow_disk_missing, start_up
from runner import compare, running
from table import report
from tasks import compare_tasks

_WORKLOADS = ["create", "read", "batch"]
_PROBES = ["tasks", "startup", "slowdisk"]
_DOCS = Path(__file__).resolve().parents[3] / "docs"
_PAGE, _CHART = _DOCS / "benchmarks.md", _DOCS / "benchmarks.svg"
_START, _END = "<!-- results -->", "<!-- end of results -->"


def main() -> None:
    options = _options()
    # The peers end with this program, also if it is told to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    peers, missing = _choose(options.peers)
    run = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": _machine(),
        "rounds": options.rounds,
        "peers": [peer.name for peer in peers],
        "durable": [peer.name for peer in peers if peer.durable],
        "limits": [peer.name for peer in peers if peer.limit],
        "missing": missing,
    }
    with tempfile.TemporaryDirectory(prefix="kvd-bench-", dir=options.directory) as directory:
        _measure(run, peers, options, Path(directory))
    text = report(run)
    print(text)
    if options.json:
        options.json.write_text(json.dumps(run, indent=1) + "\n")
    if options.docs:
        _write_page(text)
    for path in [options.chart, _CHART if options.docs else None]:
        if path is not None and run["results"]:
            from chart import draw

            draw(run, path)


def _write_page(text: str) -> None:
    """Put the tables where the page has those of the last run."""
    before, start, rest = _PAGE.read_text().partition(_START)
    _, end, after = rest.partition(_END)
    _PAGE.write_text(f"{before}{start}\n\n{text}\n\n{end}{after}")


def _options() -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return [name.strip() for name in text.split(",")]

    parser = argparse.ArgumentParser(prog="compare", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement (default: 1)")
    parser.add_argument(
        "--clients", type=lambda text: [int(n) for n in names(text)], default=[1, 4, 16], help="processes (1,4,16)"
    )
    parser.add_argument(
        "--tasks", type=lambda text: [int(n) for n in names(text)], default=[16, 64], help="of one process (16,64)"
    )
    everything = ",".join([*_WORKLOADS, *_PROBES])
    parser.add_argument("--workloads", type=names, default=names(everything), help=f"some of {everything}")
    parser.add_argument("--peers", type=names, default=None, help="starts of names, as in 'kvd always,redis'")
    parser.add_argument("--directory", default="/var/tmp", help="on the disk to measure (default: /var/tmp)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw there; .svg or .png")
    parser.add_argument("--docs", action="store_true", help="put tables and chart into docs/benchmarks.md")
    options = parser.parse_args()
    unknown = set(options.workloads) - {*_WORKLOADS, *_PROBES}
    if unknown:
        parser.error(f"there is no workload {', '.join(sorted(unknown))}; there are {everything}")
    return options


def _choose(starts: list[str] | None) -> tuple[list[Peer], list[str]]:
    """Return the peers that were asked for and are installed, and those that are not, with what they lack."""
    wanted = [
        peer
        for peer in all_peers()
        if starts is None or any(peer.name.lower().startswith(start.lower()) for start in starts)
    ]
    missing = [f"{peer.name} (needs {lack})" for peer in wanted if (lack := peer.missing())]
    return [peer for peer in wanted if peer.missing() is None], missing


def _measure(run: dict, peers: list[Peer], options: argparse.Namespace, directory: Path) -> None:
    def progress(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    with running(peers, directory):
        workloads = [workload for workload in _WORKLOADS if workload in options.workloads]
        run["results"] = compare(peers, workloads, options.clients, options.rounds, options.seconds, progress)
        if "tasks" in options.workloads:
            run["tasks"] = compare_tasks(peers, options.tasks, options.rounds, options.seconds, progress)
        served = [peer for peer in peers if isinstance(peer, Kvd)]
        if "startup" in options.workloads and served:
            progress("kvctl read, import zmq")
            run["start_up"] = start_up(served[0])
    if "slowdisk" in options.workloads:
        if lack := slow_disk_missing():
            run["missing"].append(f"reads beside a slow disk (needs {lack})")
        else:
            progress("reads beside a slow disk")
            turns = []
            for turn in range(options.rounds):
                own = directory / f"slow{turn}"
                own.mkdir()
                turns.append(slow_disk(own, 2 * options.seconds))
            run["slow_disk"] = {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}
    progress("")


def _machine() -> str:
    """Return the kind of machine, with nothing that names it."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    linux = platform.release().split("-")[0]
    return f"{os.cpu_count()} cores ({model}), Linux {linux}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
