"""Hours of everyday use, or seconds of it: what was written is what is read, and the daemon and its file stay small."""

import itertools
import multiprocessing
import random
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from footprint import Footprint

from kvclient import Client, KeyNotFoundError
from processes import wait_until
from stores import assert_sound, contents

PROCESSES = 4
MOST_KEYS = 200
MOST_GROWTH = 4 << 20
# Several times what all processes hold, so that no write is ever refused.
MOST_FILE_BYTES = 16 << 20


class Keys:
    """Keys of one process and what they must hold: a value, and between which instants it expires, if it does."""

    def __init__(self, store: Client, number: int) -> None:
        self._store = store
        self._chance = random.Random(number)
        self._names = (f"soak{number}.{turn}" for turn in itertools.count())
        self._held: dict[str, tuple[object, float, float]] = {}

    def change(self) -> None:
        """Create a key or several, or delete one, so that there are never more than so many."""
        if len(self._held) >= MOST_KEYS or (self._held and self._chance.random() < 0.3):
            self._remove(self._chance.choice(list(self._held)))
            return
        items = {next(self._names): self._value() for _ in range(self._chance.choice([1, 1, 1, 1, 10]))}
        ttl = self._chance.choice([None, 0.3, 2.0])
        before = time.time()
        if len(items) == 1:
            ((key, value),) = items.items()
            self._store.create(key, value, ttl=ttl)
        else:
            self._store.batch_create(items, ttl=ttl)
        after = time.time()
        for key, value in items.items():
            self._held[key] = value, before + (ttl or float("inf")), after + (ttl or float("inf"))

    def _value(self) -> object:
        return {"numbers": self._chance.sample(range(10**6), 5), "text": "ß" * self._chance.choice([0, 10, 100, 4000])}

    def look(self) -> None:
        """Read one of the keys and compare."""
        if self._held:
            self._compare(self._chance.choice(list(self._held)))

    def _compare(self, key: str) -> None:
        value, earliest, latest = self._held[key]
        asked = time.time()
        try:
            found = self._store.read(key)
        except KeyNotFoundError:
            assert time.time() >= earliest, f"{key} is gone before its time"
            del self._held[key]
        else:
            assert asked < latest, f"{key} is there after its time"
            assert value == found

    def _remove(self, key: str) -> None:
        _, earliest, latest = self._held.pop(key)
        asked = time.time()
        try:
            self._store.delete(key)
        except KeyNotFoundError:
            assert time.time() >= earliest, f"{key} is gone before its time"
        else:
            assert asked < latest, f"{key} was deleted after its time"

    def settle(self) -> dict[str, object]:
        """Compare all keys; return those that stay."""
        for key in list(self._held):
            self._compare(key)
        return {key: value for key, (value, earliest, _) in self._held.items() if earliest == float("inf")}


def use_until(endpoint: str, number: int, until: Path) -> dict[str, object]:
    """Change and read keys until the file exists; return what must be in the store then."""
    with Client(endpoint, timeout=60) as store:
        keys = Keys(store, number)
        while not until.exists():
            keys.change()
            for _ in range(3):
                keys.look()
        return keys.settle()


@pytest.mark.timeout(3600)
def test_soak(start_daemon, long):
    """Processes change and read keys without pause. Every answer is right, the daemon does not grow once it has
    compacted its file, and the file keeps to its limit.
    """
    seconds = 1800 if long else 6
    daemon = start_daemon(sync="interval", compact_min_bytes="1000000", max_file_bytes=str(MOST_FILE_BYTES))
    footprint = Footprint(daemon)
    until = daemon.directory / "enough"
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        using = [pool.submit(use_until, daemon.endpoint, number, until) for number in range(PROCESSES)]
        try:
            wait_until(lambda: any(done.done() for done in using) or daemon.log.read_text().count("compacted") >= 2)
            before = footprint.descriptors(), footprint.threads()
            memory = footprint.memory()
            ends = time.monotonic() + seconds
            while time.monotonic() < ends and not any(done.done() for done in using):
                time.sleep(0.5)
                assert daemon.file.stat().st_size <= MOST_FILE_BYTES
            if not any(done.done() for done in using):  # if one is, its error is told below
                assert footprint.memory() < memory + MOST_GROWTH
                footprint.wait_until_back_at(before)
        finally:
            until.touch()
        wanted = {key: value for done in using for key, value in done.result().items()}

    assert daemon.stop() == 0
    assert_sound(daemon.file)
    assert wanted == contents(daemon.file, lambda: time.time() + 10)
