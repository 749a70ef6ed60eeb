"""stats: what the daemon has done since it started."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from kvclient.contract.operations.declaration import Reply, Request


class HistogramFields(BaseModel):
    """How long something took, counted by duration."""

    model_config = ConfigDict(extra="forbid", strict=True)

    seconds: Annotated[float, Field(description="The sum of all durations.")]
    counts: Annotated[
        list[int],
        Field(description="How many took up to the first of `latency_bounds`, up to the second, …, longer than all."),
    ]


class LatencyFields(BaseModel):
    """What is timed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reads: Annotated[
        HistogramFields,
        Field(
            description="Reads, from when the daemon last looked and nothing of them was there to their reply. One "
            "round of the loop in up to 64 is timed, and stands for the reads since the one before."
        ),
    ]
    changes: Annotated[
        HistogramFields, Field(description="Changes, each from when it was parsed to the end of its commit.")
    ]
    commits: Annotated[HistogramFields, Field(description="Writing a commit, its sync included.")]
    syncs: Annotated[HistogramFields, Field(description="Syncing commits to the disk (fdatasync).")]


class StatsFields(BaseModel):
    """Counters since the start of the daemon, and how much there is now."""

    model_config = ConfigDict(extra="forbid", strict=True)

    uptime: Annotated[float, Field(description="Seconds.")]
    operations: Annotated[dict[str, int], Field(description="Requests carried out, by operation.")]
    errors: Annotated[dict[str, int], Field(description="Requests refused, by error.")]
    hits: Annotated[int, Field(description="Reads of a key that was there.")]
    misses: Annotated[int, Field(description="Reads of a key that was not.")]
    commits: int
    committed: Annotated[int, Field(description="Operations in these commits.")]
    sync_seconds: Annotated[float, Field(description="Time spent writing and syncing commits.")]
    latency_bounds: Annotated[list[float], Field(description="Seconds that `latencies` are counted between.")]
    latencies: LatencyFields
    compactions: Annotated[int, Field(description="Compactions that were completed.")]
    compaction_seconds: Annotated[float, Field(description="How long they took, beside service.")]
    expired: Annotated[int, Field(description="Keys that expired.")]
    released: Annotated[int, Field(description="Ephemeral keys whose process ended.")]
    events: Annotated[int, Field(description="Events told to watchers.")]
    keys: int
    expiring: Annotated[int, Field(description="Keys with a TTL.")]
    ephemeral: Annotated[int, Field(description="Keys bound to a process.")]
    revision: int
    file_bytes: int
    live_bytes: int
    garbage_bytes: Annotated[int, Field(description="What a compaction would free.")]
    free_bytes: Annotated[int, Field(description="What the file may still grow by.")]
    peers: int
    watchers: int


class StatsReply(Reply):
    """The reply to stats."""

    stats: StatsFields


class Stats(Request):
    """Tell what the daemon has done since it started, and how much there is now.

    Of all keys and clients together, so it is for the owner alone.
    """

    does = "control"
    needs = ("own",)
    concerns = "nothing"
    reply = StatsReply

    op: Literal["stats"]
