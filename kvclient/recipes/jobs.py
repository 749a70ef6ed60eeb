"""Where the jobs of a queue lie in the store, and in which order they are served. Decides, and asks for nothing.

| key | what it is |
|---|---|
| `queue:NAME#job:ID` | a job that waits or is being worked on: its value, how often it was taken, and by whom |
| `queue:NAME#job-worker:ID` | ephemeral: a process that takes jobs. What is taken by one that is not there is free |
| `queue:NAME#job-delays` | changes with each delayed job, so that others look when it is due |
| `queue:NAME#later:DUE-ID` | a job that is not due yet |
| `queue:NAME#dead:ID` | a job on its last attempt, or a dead letter if its worker is not there |

IDs sort in the order of service: by priority, then by the time at which the job was put, or is due. Workers sort before
jobs, so that one page, which is one moment, tells which jobs are free.
"""

import itertools
import os
import threading
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from kvclient.contract.errors import InvalidKeyError
from kvclient.contract.records import Entry, Event
from kvclient.contract.rules import check_key

LEAST_PRIORITY, MOST_PRIORITY = -32768, 32767
_NANOSECONDS = 1_000_000_000
_PRIORITY_DIGITS, _TAIL_DIGITS = 4, 4


class Job(NamedTuple):
    """A job that this process has taken from a queue, until it says that it is done."""

    id: str
    value: Any
    deaths: int
    """How often it was taken before and not done: its worker died, or an exception ended the work."""
    revision: int
    """The fencing number: it rises each time that the job is taken."""
    last: bool
    """Whether this is the last attempt, after which it is a dead letter."""


class Dead(NamedTuple):
    """A dead letter: a job that was taken as often as the queue allows, and never done."""

    id: str
    value: Any
    deaths: int
    error: str | None
    """What ended the last attempt; None if its worker died."""
    revision: int
    """The revision of its key."""


class Record(NamedTuple):
    """What a job's key holds."""

    value: Any
    taken: int = 0
    by: str | None = None
    """The worker that has it, and a number for this take; None if it was given back or never taken."""
    error: str | None = None
    """What ended the last attempt."""

    def worker(self) -> str | None:
        """Return the worker's id."""
        return None if self.by is None else self.by.partition(".")[0]

    def json(self) -> dict[str, Any]:
        """Return it as it is stored: without what there is none of."""
        return {name: part for name, part in self._asdict().items() if part is not None or name == "value"}


class Candidate(NamedTuple):
    """A job that is free."""

    id: str
    record: Record
    revision: int


class Seen:
    """What pages of a queue's keys tell, the first ones first."""

    def __init__(self) -> None:
        self.workers: set[str] = set()
        self.busy = 0
        """Jobs that are being worked on."""
        self.delays = 0
        """The revision of the last delayed job that was put."""
        self.free: list[Candidate] = []
        """In the order of service."""

    def share_of(self, worker: str) -> list[Candidate]:
        """Return the free jobs of the highest priority there is that fall to `worker` if all workers share them out."""
        workers = sorted(self.workers | {worker})
        mine = workers.index(worker)
        return [each for each in self.first() if int(each.id[-_TAIL_DIGITS:], 16) % len(workers) == mine]

    def first(self) -> list[Candidate]:
        """Return the free jobs of the highest priority there is."""
        priority = self.free[0].id[:_PRIORITY_DIGITS] if self.free else ""
        return [each for each in self.free if each.id.startswith(priority)]


class Keys:
    """The keys of the queue called `name`."""

    def __init__(self, name: str) -> None:
        if "#" in check_key(name):
            raise InvalidKeyError(f"A queue's name has no # in it, as {name!r} does: that ends it in its jobs' keys.")
        base = f"queue:{name}#"
        self.service = f"{base}job"
        """What the keys begin with that tell which job is next."""
        self.job, self.worker, self.delays = f"{base}job:", f"{base}job-worker:", f"{base}job-delays"
        self.later = f"{base}later:"
        self.dead = f"{base}dead:"

    def of(self, job: Job) -> str:
        """Return the key of a job that was taken."""
        return (self.dead if job.last else self.job) + job.id

    def due(self, key: str) -> float:
        """Return when a delayed job is due, in Unix seconds."""
        return int(key[len(self.later) :].partition("-")[0], 16) / _NANOSECONDS

    def look(self, entries: Iterable[Entry], seen: Seen) -> None:
        """Note what a page tells."""
        job = self.job
        for entry in entries:
            key = entry.key
            if key.startswith(job):
                record = recorded(entry.value)
                if record is None:  # somebody else wrote it
                    continue
                worker = record.worker()
                if worker in seen.workers:
                    seen.busy += 1
                else:
                    seen.free.append(Candidate(key[len(job) :], record, entry.revision))
            elif key.startswith(self.worker):
                if entry.owner is not None:
                    seen.workers.add(key[len(self.worker) :])
            elif key == self.delays:
                seen.delays = entry.revision

    def workers_of(self, entries: Iterable[Entry]) -> set[str]:
        """Return by whom the jobs on a page were taken."""
        jobs = (recorded(entry.value) for entry in entries if entry.key.startswith(self.job))
        return {worker for job in jobs if job is not None and (worker := job.worker()) is not None}

    def brings_work(self, events: Iterable[Event]) -> bool:
        """Tell whether there may be a job that is free, after what a watch told."""
        for event in events:
            is_there = event.kind in ("created", "updated")
            if event.key.startswith(self.job):
                record = recorded(event.value) if is_there else None
                if record is not None and record.by is None:
                    return True
            elif event.key == self.delays or not is_there:
                return True
        return False


def recorded(value: Any) -> Record | None:
    """Return what a job's key holds; None if that is no job."""
    if not isinstance(value, dict) or "value" not in value or not isinstance(value.get("taken"), int):
        return None
    return Record(value["value"], value["taken"], value.get("by"), value.get("error"))


_takes = itertools.count(1)
_worker: tuple[int, str] | None = None


def this_worker() -> str:
    """Return the id of this process as a worker: of its own in a forked child."""
    global _worker  # noqa: PLW0603
    if _worker is None or _worker[0] != os.getpid():
        _worker = os.getpid(), os.urandom(8).hex()
    return _worker[1]


def new_take() -> str:
    """Return what names this process and one take of a job."""
    return f"{this_worker()}.{next(_takes)}"


def check_priority(priority: int) -> int:
    """Return a priority, or raise `ValueError`."""
    if isinstance(priority, bool) or not isinstance(priority, int) or not LEAST_PRIORITY <= priority <= MOST_PRIORITY:
        raise ValueError(
            f"A priority is a whole number from {LEAST_PRIORITY} to {MOST_PRIORITY}, not {priority!r}; the higher one "
            "is served first."
        )
    return priority


def check_delay(delay: float) -> float:
    """Return a delay in seconds, or raise `ValueError`."""
    if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay < 1e9:
        raise ValueError(f"A delay is a number of seconds from 0 on, not {delay!r}.")
    return delay


_numbering = threading.Lock()
_last = 0


def new_ids(count: int, priority: int, delay: float) -> list[str]:
    """Return the ids of so many jobs that are put now, in their order."""
    global _last  # noqa: PLW0603  # of all queues: it keeps the order of this process if the clock is set back
    if delay:
        first = time.time_ns() + int(delay * _NANOSECONDS)
    else:
        with _numbering:
            first = max(time.time_ns(), _last + 1)
            _last = first + count - 1
    tails = os.urandom(4 * count)
    return [
        f"{MOST_PRIORITY - priority:04x}{first + place:016x}{tails[4 * place : 4 * place + 4].hex()}"
        for place in range(count)
    ]


def due_digits(job: str) -> str:
    """Return the part of an id that says when the job is due."""
    return job[_PRIORITY_DIGITS : _PRIORITY_DIGITS + 16]
