"""What a memoized call costs whose value is there: `python tests/benchmarks/memoizing.py [ROUNDS [CALLS]]`.

kvd, with a daemon and in-process, beside memoize of diskcache and a bare GET of Redis whose JSON is parsed. The limit
is functools.lru_cache, the memory of one process. In turn and in short rounds, so that whatever else the machine does
falls on all. Prints the median call of each, and that of kvd divided by it: below 1, kvd is faster.
"""

import functools
import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from kvclient import Client
from kvd import LocalDataStore
from processes import Daemon, wait_until

_WARM_UP = 3
ARGUMENTS = ("EUR", 7)
KVD = "kvd"


def rate(currency: str, days: int) -> dict[str, object]:
    """Return what is memoized: 50 bytes of JSON."""
    return {"currency": currency, "days": days, "rate": 1.0842}


def candidates(directory: Path, ending: ExitStack) -> dict[str, Callable[[], object]]:
    """Return a call of each, by name, that are ended with `ending`."""
    (directory / "daemon").mkdir()
    daemon = Daemon(directory / "daemon").start()
    ending.callback(daemon.kill)
    local = ending.enter_context(LocalDataStore(directory / "local.json"))
    found = {
        KVD: functools.partial(Client(daemon.endpoint).memoize(ttl=3600)(rate), *ARGUMENTS),
        "kvd in-process": functools.partial(local.memoize(ttl=3600)(rate), *ARGUMENTS),
        "lru_cache": functools.partial(functools.lru_cache(rate), *ARGUMENTS),
    }
    if importlib.util.find_spec("diskcache"):
        import diskcache

        cache = ending.enter_context(diskcache.Cache(str(directory / "diskcache")))
        found["diskcache"] = functools.partial(cache.memoize(expire=3600)(rate), *ARGUMENTS)
    if importlib.util.find_spec("redis") and shutil.which("redis-server"):
        import redis

        socket = directory / "redis.sock"
        server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", socket, "--dir", directory, "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        ending.callback(server.wait)
        ending.callback(server.kill)
        wait_until(socket.exists)
        client = ending.enter_context(redis.Redis(unix_socket_path=str(socket)))
        client.set("rate", json.dumps(rate(*ARGUMENTS)))
        found["Redis GET"] = lambda: json.loads(client.get("rate"))
    return found


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    with tempfile.TemporaryDirectory(prefix="kvd-") as directory, ExitStack() as ending:
        calls = candidates(Path(directory), ending)
        for name, call in calls.items():
            assert call() == call() == rate(*ARGUMENTS), name
        taken: dict[str, list[float]] = {name: [] for name in calls}
        names = list(calls)
        for turn in range(rounds + _WARM_UP):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                found = _seconds(calls[name], number)
                if turn >= _WARM_UP:
                    taken[name] += found
        medians = {name: statistics.median(each) for name, each in taken.items()}
        for name, median in medians.items():
            print(f"{name}: {1e6 * median:.2f} µs, kvd / {name}: {medians[KVD] / median:.3f}")


def _seconds(call: Callable[[], object], number: int) -> list[float]:
    """Return how long each call of a round took."""
    taken = []
    for _ in range(number):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return taken


if __name__ == "__main__":
    main()
