"""Whether what processes recorded of locks, semaphores and queues could have come from ones that keep their promise.

A *hold* is the time from when a process knew that it had something until just before it let go of it, or was killed. It
lies within the time for which the process really had it. So two recorded holds that overlap are a violation, however
the machine scheduled the processes; and no clock but the one that all processes of a machine share is needed.

A job is held like a lock: by one process at a time, each at a higher revision, and by nobody once it was done.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Hold(NamedTuple):
    """Something that a process had."""

    name: str
    pid: int
    revision: int
    began: float
    """Seconds of the machine's monotonic clock."""
    ended: float | None
    """When it let go; None if it was killed before that."""
    done: bool = False
    """Of a job: whether the process was told that it is done."""


def faults_of_holds(holds: Iterable[Hold], killed: Mapping[int, float], most: int = 1) -> list[str]:
    """Return what no lock does that up to `most` hold at a time. `killed` has the instants before signals were sent."""
    found = []
    by_name = defaultdict(list)
    for hold in holds:
        by_name[hold.name].append(hold)
    for name, those in by_name.items():
        those.sort(key=lambda hold: hold.began)
        inside: list[Hold] = []
        for hold in those:
            inside = [other for other in inside if _end(other, killed) > hold.began]
            inside.append(hold)
            if len(inside) > most:
                found.append(f"{name}: {[other.pid for other in inside]} at {hold.began}")
        if most == 1:
            found += [
                f"{name}: revision {after.revision} behind {before.revision}"
                for before, after in itertools.pairwise(those)
                if after.revision <= before.revision
            ]
    return found


def faults_of_jobs(
    holds: Iterable[Hold],
    killed: Mapping[int, float],
    *,
    promised: Iterable[str],
    perhaps: Iterable[str],
) -> list[str]:
    """Return what no queue does that had all its jobs done in the end.

    `promised` are the jobs of which somebody was told that they were put, `perhaps` those of which nobody was told.
    """
    those = list(holds)
    found = faults_of_holds(those, killed)
    by_job = defaultdict(list)
    for hold in those:
        by_job[hold.name].append(hold)
    wanted = set(promised)
    found += [f"{job}: lost" for job in wanted if not any(_may_be_done(hold) for hold in by_job[job])]
    found += [f"{job}: never put" for job in by_job.keys() - wanted - set(perhaps) if by_job[job]]
    for job, its in by_job.items():
        its.sort(key=lambda hold: hold.began)
        done_at = next((place for place, hold in enumerate(its) if hold.done), None)
        if done_at is not None and done_at < len(its) - 1:
            found.append(f"{job}: taken after it was done")
    return found


def _end(hold: Hold, killed: Mapping[int, float]) -> float:
    return killed.get(hold.pid, math.inf) if hold.ended is None else hold.ended


def _may_be_done(hold: Hold) -> bool:
    """Tell whether it was done, or its process was killed while it said so."""
    return hold.done or hold.ended is not None
