"""What the largest requests cost others: `python tests/benchmarks/large.py [SECONDS [SHAPE…]]`.

Four peers send requests of one shape without pause while another client reads one key. Prints how long its reads take,
and how much memory the daemon takes meanwhile and keeps afterwards.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from large_requests import MIB, SHAPES, measure
from processes import Daemon, wait_until


def settled(daemon: Daemon) -> int:
    """Return the daemon's memory once it has not changed for a moment."""
    seen: list[int] = []

    def steady() -> bool:
        seen.append(daemon.resident() // MIB)
        return len(seen) > 100 and len(set(seen[-100:])) == 1

    wait_until(steady)
    return daemon.resident()


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    print(f"{'':24}{'requests':>9}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'+MiB':>7}{'kept':>7}")
    for name in sys.argv[2:] or SHAPES:
        with tempfile.TemporaryDirectory(prefix="kvd-") as place:
            daemon = Daemon(Path(place)).start()
            try:
                rest = settled(daemon)
                found = measure(daemon, name, seconds)
                kept = settled(daemon) - rest
            finally:
                daemon.kill()
        p50, p99, most = (1000 * found.quantile(share) for share in (0.5, 0.99, 1.0))
        print(
            f"{name:24}{found.requests:>9}{p50:>9.2f}{p99:>9.1f}{most:>9.1f}{found.peak // MIB:>7}{kept // MIB:>7}",
            flush=True,
        )


if __name__ == "__main__":
    main()
