"""What the live view asks a daemon for: three short requests a second, however much the daemon does.

Events are not waited for, as a watch would be told all of them: each second it asks for the last few.
"""

import os
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from kvclient.cli.top.rates import Rates, rates
from kvclient.client.blocking import Client
from kvclient.contract.errors import RevisionGoneError
from kvclient.contract.records import Entry, Event

LATEST = 50
"""Events that are kept."""
_ASKED_FOR = 20
"""Revisions whose events are asked for at a time, at most."""
LISTED = 200
"""Keys that are shown at a time."""


class Sample(NamedTuple):
    """A store at one moment."""

    stats: dict[str, Any]
    status: dict[str, Any]
    rates: Rates | None
    round_trip: float
    """Seconds that a ping took."""
    events: list[Event]
    """The latest, the newest last."""


class Source:
    """Asks a daemon. For one thread, but for `list` and `entry`, which may be called from others."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._before: dict[str, Any] | None = None
        self._told = -1
        """The revision up to which events are known."""
        self._events: deque[Event] = deque(maxlen=LATEST)

    def sample(self) -> Sample:
        """Return how things stand. Raises `DaemonUnavailableError` or `RequestTimeoutError`."""
        started = time.perf_counter()
        self._client.ping()
        round_trip = time.perf_counter() - started
        status, stats = self._client.status(), self._client.stats()
        found = None if self._before is None else rates(self._before, stats)
        self._before = stats
        self._look_for_events(stats["revision"])
        return Sample(stats, status, found, round_trip, list(self._events))

    def _look_for_events(self, revision: int) -> None:
        if revision < self._told:  # another file is in its place
            self._told = -1
        if revision == self._told:
            return
        try:
            with self._client.watch(after=max(self._told, revision - _ASKED_FOR, 0)) as watch:
                told = watch.told()
            self._events.extend(told)
            self._told = max([revision, *(event.revision for event in told[-1:])])
        except RevisionGoneError:  # a compaction has taken them
            self._told = revision

    def list(self, prefix: str) -> list[Entry]:
        """Return the first keys that begin with a prefix, without their values."""
        return list(self._client.entries(prefix, limit=LISTED, values=False))

    def entry(self, key: str) -> Entry:
        """Return a key with its value. Raises `KeyNotFoundError`."""
        return self._client.entry(key)


def process_name(pid: int) -> str:
    """Return what a person calls a process: its program, or the script that an interpreter runs."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return "?"
    program = os.path.basename(words[0])
    if program.startswith("python") and len(words) > 1:
        if words[1] == "-m" and len(words) > 2:
            return words[2]
        if words[1] and not words[1].startswith("-"):
            return os.path.basename(words[1])
    return program or "?"
