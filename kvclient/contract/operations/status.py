"""status: what the daemon is and does."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kvclient.contract.operations.declaration import Reply, Request


class LimitFields(BaseModel):
    """The limits in force: the settings of the same names."""

    model_config = ConfigDict(extra="forbid", strict=True)

    max_key_length: int
    max_value_bytes: int
    max_request_bytes: int
    max_batch: int
    max_file_bytes: int


class ProcessFields(BaseModel):
    """A process that has connections, as the kernel tells of it (SO_PEERCRED), or who has proved to own a key."""

    model_config = ConfigDict(extra="forbid", strict=True)

    pid: Annotated[int | None, Field(description="Absent over TCP, and for a process of another pid namespace.")] = None
    uid: Annotated[int | None, Field(description="Absent over TCP.")] = None
    program: Annotated[str | None, Field(description="Its name, as the kernel has it; absent if it has ended.")] = None
    key: Annotated[str | None, Field(description="The name of its CURVE key, if it has one.")] = None
    connections: int
    watching: Annotated[int, Field(description="How many of them wait for a change.")]


class StatusFields(BaseModel):
    """What a daemon tells of itself."""

    model_config = ConfigDict(extra="forbid", strict=True)

    pid: int
    version: str
    python: str
    endpoint: str
    network: Annotated[str | None, Field(description="A second endpoint, for other machines.")] = None
    backend: Annotated[str, Field(description="What keeps the data.")]
    file: str
    file_bytes: Annotated[
        int, Field(description="Size of the data file, bytes of white space kept for the next commits included.")
    ]
    live_bytes: Annotated[int, Field(description="Bytes of the file that hold live keys.")]
    max_file_bytes: int
    full: Annotated[bool, Field(description="Whether not even a small value fits, also after a compaction.")]
    keys: Annotated[int, Field(description="Live keys, and expired ones whose removal is not recorded yet.")]
    revision: int
    sync: Literal["always", "interval", "never"]
    compacting: bool
    uptime: Annotated[float, Field(description="Seconds.")]
    limits: LimitFields
    peers: Annotated[int, Field(description="Connections.")]
    watchers: Annotated[int, Field(description="Watches that wait for a change.")]
    processes: Annotated[
        list[ProcessFields] | None,
        Field(description="Who has connections, those with most of them first, and 100 at most."),
    ] = None
    restart_needed: Annotated[
        dict[str, Any] | None,
        Field(description="Settings that were changed after the daemon's start, with what a restart gives them."),
    ] = None
    reload_needed: Annotated[
        list[str] | None,
        Field(description="Settings that were changed after the daemon read them, and for which a reload is enough."),
    ] = None
    settings_error: Annotated[
        str | None, Field(description="Why the settings, as they are now, would not let a daemon start or reload.")
    ] = None
    refusing: Annotated[str | None, Field(description="Why all changes are refused; absent if they are not.")] = None


class StatusReply(Reply):
    """The reply to status."""

    status: StatusFields


class Status(Request):
    """Tell what the daemon is doing and on which file. For its owner alone."""

    does = "control"
    needs = ("own",)
    concerns = "nothing"
    reply = StatusReply

    op: Literal["status"]
