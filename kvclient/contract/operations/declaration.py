"""What every operation declares: the fields of its request and reply, and what the daemon has to know of it.

Types are strict and unknown fields are refused. A constraint stands in the field's type; only what is a setting of the
daemon (lengths, sizes) is checked by the store. `kvd schema` prints what is declared here as JSON Schema.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Right = Literal["read", "write", "own"]
"""What the asker must be allowed: to read the keys, to change them, or to do what only the store's owner may."""

Concern = Literal["key", "keys", "items", "prefix", "operations", "nothing"]
"""The field of the request that says which keys an operation concerns."""

RequestId = Annotated[
    str,
    Field(
        pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,64}:[0-9]{1,18}$",
        description="`<client>:<number>`. The client raises the number with every new request; "
        "the same id again is the same request again and gets the same answer.",
    ),
]
Key = Annotated[
    str,
    Field(
        min_length=1,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]+$",
        description="Unicode text without control characters, of at most `max_key_length` characters.",
    ),
]
Prefix = Annotated[str, Field(description="What the keys begin with; empty for all keys.")]
JsonValue = Annotated[
    Any, Field(description="Any JSON value of at most `max_value_bytes` bytes as compact UTF-8 JSON, 190 levels deep.")
]
Seconds = Annotated[
    float, Field(gt=0, allow_inf_nan=False, description="A TTL: seconds from the commit on. Without one, never.")
]
IfRevision = Annotated[
    int,
    Field(ge=0, description="Carried out only if the key is at this revision; 0: only if it does not exist."),
]
Ephemeral = Annotated[
    bool | int,
    Field(
        description="Bind the key to the life of the asking process (true), or of another process of the same user "
        "(its pid): the key is released when that process ends."
    ),
]
Page = Annotated[int, Field(ge=1, le=10_000, description="Entries or events in one reply, at most.")]
Revision = Annotated[int, Field(description="The store's revision after this operation; it rises with every change.")]
ExpiresAt = Annotated[float, Field(description="Unix seconds; absent if the key never expires.")]


class Request(BaseModel):
    """What is common to all requests."""

    model_config = ConfigDict(extra="forbid", strict=True)

    does: ClassVar[Literal["read", "change", "control"]]
    """Whether it reads keys, changes them (in a commit, once, whatever is repeated), or concerns the daemon."""
    needs: ClassVar[tuple[Right, ...]]
    concerns: ClassVar[Concern]
    frees: ClassVar[bool] = False
    """Whether it only ever removes, and may use what a full file keeps for that."""
    reply: ClassVar[type["Reply"]]

    id: RequestId | None = None


class Reply(BaseModel):
    """What is common to all replies to what was carried out."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ok: Literal[True]


class Changed(Reply):
    """The reply to a change that has nothing else to tell."""

    revision: Revision


class Done(Reply):
    """The reply to what has nothing to tell."""


class OwnerFields(BaseModel):
    """The process that an ephemeral key is bound to."""

    model_config = ConfigDict(extra="forbid", strict=True)

    pid: int
    uid: int


class EntryFields(BaseModel):
    """A key as a list tells of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    key: Key
    revision: Annotated[int, Field(description="The revision at which the key got this value.")]
    expires_at: ExpiresAt | None = None
    owner: OwnerFields | None = None
    value: JsonValue = None


class Refusal(BaseModel):
    """The reply to anything that was refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ok: Literal[False]
    error: Annotated[str, Field(description="The name of the error's class.")]
    message: Annotated[str, Field(description="One line for a person.")]
    keys: Annotated[list[str], Field(description="The keys that it is about.")]
    index: Annotated[
        int | None, Field(description="Of a batch: which of its operations was refused, counted from 0.")
    ] = None
