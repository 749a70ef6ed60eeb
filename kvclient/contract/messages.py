"""The wire format: one request and one reply, each a single frame of UTF-8 JSON.

Types are strict and unknown fields are refused. Limits (lengths, sizes) are settings of the daemon and are therefore
checked by its store, not here. `kvd schema` prints the JSON Schema of what stands in this file.

The daemon reads requests through these models. The clients write and read the same JSON without them, because
importing pydantic would double the time that a short script needs.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

RequestId = Annotated[
    str,
    Field(
        pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,64}:[0-9]{1,18}$",
        description="`<client>:<number>`. The client raises the number with every new request; "
        "the same id again is the same request again and gets the same answer.",
    ),
]
Seconds = Annotated[float, Field(description="A TTL: seconds from the commit on, finite and above 0.")]


Refusing = Annotated[
    str | None, Field(description="Why writes are refused, for a person to read; absent when all is well.")
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: RequestId | None = None


class Create(_Request):
    """Store a value under a key that does not exist. Atomic. KeyExistsError if it exists."""

    op: Literal["create"]
    key: str
    value: Any
    ttl: Seconds | None = None


class Read(_Request):
    """Return the value of a key. KeyNotFoundError if it does not exist."""

    op: Literal["read"]
    key: str


class Delete(_Request):
    """Remove a key. Atomic. KeyNotFoundError if it does not exist."""

    op: Literal["delete"]
    key: str


class BatchCreate(_Request):
    """Create several keys, all or nothing, in one commit. Any error names every offending key."""

    op: Literal["batch_create"]
    items: dict[str, Any]
    ttl: Seconds | None = None


class Ping(_Request):
    """Answer, and do nothing else."""

    op: Literal["ping"]


class Status(_Request):
    """Tell what the daemon is doing and on which file."""

    op: Literal["status"]


class Compact(_Request):
    """Start a compaction of the data file, beside service."""

    op: Literal["compact"]


class Stop(_Request):
    """End the daemon cleanly, after this reply."""

    op: Literal["stop"]


Request = Annotated[
    Create | Read | Delete | BatchCreate | Ping | Status | Compact | Stop,
    Field(discriminator="op"),
]


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class WriteReply(_Reply):
    """The reply to create, delete and batch_create."""

    ok: Literal[True]
    revision: int = Field(description="The store's revision after this operation; it rises with every change.")


class ReadReply(_Reply):
    """The reply to read."""

    ok: Literal[True]
    value: Any
    revision: int = Field(description="The revision at which the key got this value.")
    expires_at: float | None = Field(default=None, description="Unix seconds; absent if it never expires.")


class DoneReply(_Reply):
    """The reply to compact and stop."""

    ok: Literal[True]


class PingReply(_Reply):
    """The reply to ping."""

    ok: Literal[True]
    refusing: Refusing = None


class LimitsInForce(_Reply):
    """The limits that a daemon keeps: the settings of the same names, as they were at its start."""

    max_key_length: int
    max_value_bytes: int
    max_request_bytes: int
    max_batch: int
    max_file_bytes: int


class StatusDetails(_Reply):
    """What a daemon tells of itself."""

    pid: int
    version: str
    python: str
    endpoint: str
    file: str
    file_bytes: int = Field(
        description="Size of the data file, bytes of white space kept for the next commits included."
    )
    live_bytes: int = Field(description="Bytes of the file that hold live keys.")
    max_file_bytes: int
    keys: int = Field(description="Live keys and expired ones that were not swept yet.")
    revision: int
    sync: Literal["always", "interval", "never"]
    compacting: bool
    uptime: float = Field(description="Seconds.")
    limits: LimitsInForce
    refusing: Refusing = None
    restart_needed: dict[str, Any] | None = Field(
        default=None,
        description="Settings that were changed after the daemon's start, with the values that a restart gives them.",
    )
    settings_error: str | None = Field(
        default=None, description="Why the settings, as they are now, would not let a daemon start."
    )


class StatusReply(_Reply):
    """The reply to status."""

    ok: Literal[True]
    status: StatusDetails


class ErrorReply(_Reply):
    """The reply to anything that was refused."""

    ok: Literal[False]
    error: str = Field(description="The name of the error's class.")
    message: str
    keys: list[str] = Field(description="The offending keys.")


Reply = WriteReply | ReadReply | DoneReply | PingReply | StatusReply | ErrorReply

requests: TypeAdapter[Request] = TypeAdapter(Request)
replies: TypeAdapter[Reply] = TypeAdapter(Reply)
