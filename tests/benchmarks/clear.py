"""Clearing a million keys, and listing them, beside others: `python tests/benchmarks/clear.py [KEYS]`.

Prints how long the clear took for who asked, and the slowest requests of another client: undisturbed, during the clear
and the removals that follow it, and while the keys are listed page by page.
"""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from processes import Daemon
from wire_line import WireLine

BATCH = 10_000


def fill(line: WireLine, keys: int, prefix: str = "key:") -> None:
    """Create so many keys."""
    for first in range(0, keys, BATCH):
        items = {f"{prefix}{number:07}": number for number in range(first, min(keys, first + BATCH))}
        assert line.ask({"op": "batch_create", "items": items})["ok"]


def slowest_beside(daemon: Daemon, work: Callable[[], None]) -> tuple[float, float]:
    """Return how long another client's slowest read and slowest write took while `work` ran, in seconds."""
    over = threading.Event()
    slowest = {"read": 0.0, "put": 0.0}

    def ask() -> None:
        turn = 0
        with WireLine(daemon.endpoint) as line:
            while not over.is_set():
                turn += 1
                for op, more in (("put", {"value": turn}), ("read", {})):
                    started = time.perf_counter()
                    line.ask({"op": op, "key": "other", **more})
                    slowest[op] = max(slowest[op], time.perf_counter() - started)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        work()
    finally:
        over.set()
        asking.join()
    return slowest["read"], slowest["put"]


def written_down(line: WireLine, keys: int) -> None:
    """Wait until the file has all removals."""
    while line.ask({"op": "stats"})["stats"]["keys"] > keys:
        time.sleep(0.05)


def list_all(line: WireLine) -> list[float]:
    """List all keys by pages; return how long each page took."""
    taken, after, more = [], "", True
    while more:
        body = json.dumps({"op": "list", "prefix": "key:", "after": after}).encode()
        started = time.perf_counter()
        line.send(body)
        reply = line.receive()
        taken.append(time.perf_counter() - started)
        page = json.loads(reply)
        more = page["more"]
        after = page["entries"][-1]["key"] if page["entries"] else after
    return taken


def main() -> None:
    """Measure and print."""
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="kvd-") as place:
        daemon = Daemon(Path(place)).start()
        try:
            with WireLine(daemon.endpoint, patience=600) as line:
                fill(line, keys)
                pages: list[float] = []
                took = [0.0]

                def clear() -> None:
                    started = time.perf_counter()
                    assert line.ask({"op": "clear", "prefix": "key:"})["deleted"] == keys
                    took[0] = time.perf_counter() - started
                    written_down(line, 1)

                for what, work in (
                    ("undisturbed", lambda: time.sleep(5)),
                    ("listing", lambda: pages.extend(list_all(line))),
                    ("clearing", clear),
                    ("undisturbed", lambda: time.sleep(5)),
                ):
                    started = time.perf_counter()
                    read, put = slowest_beside(daemon, work)
                    print(
                        f"{what:12} {time.perf_counter() - started:6.1f} s: "
                        f"slowest read {1000 * read:6.1f} ms, slowest put {1000 * put:6.1f} ms",
                        flush=True,
                    )
                pages.sort()
                print(
                    f"clear of {keys} keys answered after {1000 * took[0]:.1f} ms; a page of the list took "
                    f"{1000 * pages[len(pages) // 2]:.2f} ms (median), {1000 * pages[-1]:.2f} ms (longest)"
                )
        finally:
            daemon.kill()


if __name__ == "__main__":
    main()
