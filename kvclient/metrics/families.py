"""Every metric: its name, type and meaning, and where in the daemon's `status` and `stats` its value is.

Names and units are Prometheus' way: seconds and bytes, and `_total` behind what only rises. docs/metrics.md has the
table of these.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from kvclient.metrics.readiness import unready

Told = Mapping[str, Any]
"""The fields of a daemon's `status` and `stats`."""


class Buckets(NamedTuple):
    """The value of a histogram."""

    seconds: float
    """The sum of all durations."""
    upto: list[tuple[str, int]]
    """How many durations there were up to each bound; the last one is `+Inf`."""


Values = list[tuple[tuple[str, ...], float | Buckets]]
"""The values of a metric by those of its labels."""


class Family(NamedTuple):
    """A metric."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    values: Callable[[Told], Values]
    labels: tuple[str, ...] = ()
    """Besides `store`."""

    def of(self, told: Told | None) -> Values:
        """Return the values for a store; where its daemon does not answer (None), there is only that it is not up."""
        if told is None:
            return [((), 0)] if self is UP else []
        return self.values(told)


def _field(name: str) -> Callable[[Told], Values]:
    return lambda told: [((), told[name])]


def _whether(found: Callable[[Told], object]) -> Callable[[Told], Values]:
    return lambda told: [((), int(bool(found(told))))]


def _each(name: str) -> Callable[[Told], Values]:
    """Return what reads an object of numbers: each name in it is the value of the label."""
    return lambda told: [((label,), count) for label, count in told[name].items()]


def _durations(*names: str) -> Callable[[Told], Values]:
    """Return what reads histograms of `latencies`; of several, each name is the value of the label."""
    labels: list[tuple[str, ...]] = [(name,) for name in names] if len(names) > 1 else [()]
    return lambda told: [(label, _buckets(told, name)) for label, name in zip(labels, names, strict=True)]


def _buckets(told: Told, name: str) -> Buckets:
    found = told["latencies"][name]
    upto, total = [], 0
    for bound, count in zip([*map(repr, told["latency_bounds"]), "+Inf"], found["counts"], strict=True):
        total += count
        upto.append((bound, total))
    return Buckets(found["seconds"], upto)


UP = Family(
    "kvd_up",
    "gauge",
    "1 if the daemon told its metrics; 0 if not, and then the store has no other metric.",
    _whether(bool),
)

FAMILIES = (
    UP,
    Family(
        "kvd_ready", "gauge", "1 if a small value would be stored now.", _whether(lambda told: unready(told) is None)
    ),
    Family(
        "kvd_refusing",
        "gauge",
        "1 if all changes are refused, because another program changed the data file.",
        _whether(lambda told: told.get("refusing")),
    ),
    Family(
        "kvd_restart_needed",
        "gauge",
        "1 if settings were changed that count from the next start on.",
        _whether(lambda told: told.get("restart_needed") or told.get("settings_error")),
    ),
    Family(
        "kvd_build_info",
        "gauge",
        "Always 1; the versions are in the labels.",
        lambda told: [((told["version"], told["python"]), 1)],
        labels=("version", "python"),
    ),
    Family("kvd_uptime_seconds", "gauge", "Since the daemon started.", _field("uptime")),
    # What it did.
    Family(
        "kvd_operations_total",
        "counter",
        "Requests by operation, without those that were denied.",
        _each("operations"),
        labels=("op",),
    ),
    Family(
        "kvd_errors_total",
        "counter",
        "Requests that were refused, by error. AccessDeniedError counts those that were denied.",
        _each("errors"),
        labels=("error",),
    ),
    Family("kvd_read_hits_total", "counter", "Reads of a key that was there.", _field("hits")),
    Family("kvd_read_misses_total", "counter", "Reads of a key that was not.", _field("misses")),
    Family(
        "kvd_request_seconds",
        "histogram",
        "How long reads and changes took in the daemon, up to their reply. Reads are sampled.",
        _durations("reads", "changes"),
        labels=("kind",),
    ),
    Family(
        "kvd_commit_seconds", "histogram", "Writing a commit to the file, its sync included.", _durations("commits")
    ),
    Family("kvd_sync_seconds", "histogram", "Syncing commits to the disk (fdatasync).", _durations("syncs")),
    Family(
        "kvd_committed_operations_total",
        "counter",
        "Changes in all commits; per kvd_commit_seconds_count, the operations a commit.",
        _field("committed"),
    ),
    Family("kvd_compactions_total", "counter", "Compactions that were completed.", _field("compactions")),
    Family(
        "kvd_compaction_seconds_total", "counter", "How long these took, beside service.", _field("compaction_seconds")
    ),
    Family("kvd_compacting", "gauge", "1 while a compaction runs.", _field("compacting")),
    # What there is.
    Family("kvd_keys", "gauge", "Live keys, and expired ones whose removal is not recorded yet.", _field("keys")),
    Family("kvd_expiring_keys", "gauge", "Keys with a TTL.", _field("expiring")),
    Family("kvd_ephemeral_keys", "gauge", "Keys bound to the life of a process.", _field("ephemeral")),
    Family("kvd_expired_keys_total", "counter", "Keys that expired.", _field("expired")),
    Family("kvd_released_keys_total", "counter", "Ephemeral keys whose process ended.", _field("released")),
    Family("kvd_revision", "gauge", "The store's revision, which rises with every change.", _field("revision")),
    Family(
        "kvd_file_bytes",
        "gauge",
        "Size of the data file, white space kept for the next commits included.",
        _field("file_bytes"),
    ),
    Family("kvd_file_limit_bytes", "gauge", "What the file never exceeds (max_file_bytes).", _field("max_file_bytes")),
    Family("kvd_live_bytes", "gauge", "Bytes of the file that hold live keys.", _field("live_bytes")),
    Family("kvd_garbage_bytes", "gauge", "What a compaction would free.", _field("garbage_bytes")),
    Family("kvd_free_bytes", "gauge", "What the file may still grow by.", _field("free_bytes")),
    # Who is there.
    Family("kvd_peers", "gauge", "Connections, the one that asks for this included.", _field("peers")),
    Family("kvd_watchers", "gauge", "Watches that wait for a change.", _field("watchers")),
    Family("kvd_events_total", "counter", "Events told to watchers.", _field("events")),
)
"""All metrics, in the order in which they are told."""
