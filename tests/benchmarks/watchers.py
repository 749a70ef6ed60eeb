"""What watchers that wait cost the others: `python tests/benchmarks/watchers.py [WATCHERS [SYNC]]`.

Two daemons, one with parked watches and one without, are asked in turn, in short rounds, so that whatever else the
machine does falls on both. Prints the median request of either, and their ratio.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from processes import Daemon, wait_until
from wire_line import WireLine

ROUNDS, REQUESTS = 60, 200
_WARM_UP = 5


def seconds_of(line: WireLine, op: str, turn: int) -> list[float]:
    """Return how long each request of a round took."""
    taken = []
    for number in range(REQUESTS):
        key = f"other:{number}"
        request = {"op": "put", "key": key, "value": turn} if op == "put" else {"op": "read", "key": key}
        body = json.dumps(request).encode()
        started = time.perf_counter()
        line.send(body)
        line.receive()
        taken.append(time.perf_counter() - started)
    return taken


def watchers_of(daemon: Daemon) -> int:
    """Return how many watches wait."""
    return json.loads(daemon.ask(b'{"op":"stats"}'))["stats"]["watchers"]


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    sync = sys.argv[2] if len(sys.argv) > 2 else "always"
    with tempfile.TemporaryDirectory(prefix="kvd-") as alone, tempfile.TemporaryDirectory(prefix="kvd-") as crowded:
        daemons = [Daemon(Path(place), sync=sync).start() for place in (alone, crowded)]
        parked = [WireLine(daemons[1].endpoint) for _ in range(count)]
        try:
            for number, line in enumerate(parked):
                line.send({"op": "watch", "prefix": f"watched:{number}:", "wait": 3600})
            wait_until(lambda: watchers_of(daemons[1]) == count)
            lines = [WireLine(daemon.endpoint) for daemon in daemons]
            for op in ("put", "read"):
                taken: list[list[float]] = [[], []]
                for turn in range(ROUNDS + _WARM_UP):
                    for place in (0, 1) if turn % 2 else (1, 0):
                        found = seconds_of(lines[place], op, turn)
                        if turn >= _WARM_UP:
                            taken[place] += found
                alone_us, crowded_us = (1e6 * statistics.median(each) for each in taken)
                print(
                    f"{op} (sync {sync}): {alone_us:.1f} µs alone, {crowded_us:.1f} µs beside {count} watchers, "
                    f"ratio {crowded_us / alone_us:.3f}"
                )
            for line in lines:
                line.close()
        finally:
            for line in parked:
                line.close()
            for daemon in daemons:
                daemon.kill()


if __name__ == "__main__":
    main()
