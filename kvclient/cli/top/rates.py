"""What a daemon does per second, from its counters at two moments."""

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

KEPT = 120
"""Samples that a sparkline has."""
_CHANGES = frozenset(
    {"create", "put", "update", "delete", "pop", "increment", "expire"}
    | {"batch_create", "batch", "delete_many", "clear"}
)


class Rates(NamedTuple):
    """What happened between two moments. None: nothing that it could be told of."""

    operations: float
    """A second, as all that follow but for times and shares."""
    reads: float
    changes: float
    refused: float
    commits: float
    operations_a_commit: float | None
    commit_seconds: float | None
    """That writing and syncing a commit took."""
    hit_rate: float | None
    """Of the reads: the share that found a key."""


def rates(before: Mapping[str, Any], after: Mapping[str, Any]) -> Rates | None:
    """Return what happened between two `stats`; None if the daemon was started in between."""
    seconds = after["uptime"] - before["uptime"]
    if seconds <= 0 or after["commits"] < before["commits"]:
        return None
    done = {op: count - before["operations"].get(op, 0) for op, count in after["operations"].items()}
    commits = after["commits"] - before["commits"]
    hits, misses = (after[name] - before[name] for name in ("hits", "misses"))
    return Rates(
        operations=sum(done.values()) / seconds,
        reads=(hits + misses) / seconds,
        changes=sum(count for op, count in done.items() if op in _CHANGES) / seconds,
        refused=(sum(after["errors"].values()) - sum(before["errors"].values())) / seconds,
        commits=commits / seconds,
        operations_a_commit=(after["committed"] - before["committed"]) / commits if commits else None,
        commit_seconds=(after["sync_seconds"] - before["sync_seconds"]) / commits if commits else None,
        hit_rate=hits / (hits + misses) if hits + misses > 0 else None,
    )


class Series:
    """The latest values of a number, for a sparkline."""

    def __init__(self) -> None:
        self.values: deque[float] = deque([0.0] * KEPT, KEPT)

    def add(self, value: float | None) -> None:
        """Take a new value; None, where there is nothing to tell, is shown as 0."""
        self.values.append(value or 0.0)
