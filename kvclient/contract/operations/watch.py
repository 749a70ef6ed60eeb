"""watch: being told of changes, by long polling."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from kvclient.contract.operations.declaration import JsonValue, Key, Page, Prefix, Reply, Request

MOST_WAIT_SECONDS = 3600.0


class EventFields(BaseModel):
    """A change of one key."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["created", "updated", "deleted", "expired", "released"]
    key: Key
    value: Annotated[JsonValue, Field(description="Absent if the key is gone.")] = None
    previous: Annotated[JsonValue, Field(description="What it was before; absent if the key was created.")] = None
    revision: Annotated[int, Field(description="Of the change. Those of one batch_create have the same.")]
    time: Annotated[float, Field(description="Unix seconds.")]


class WatchReply(Reply):
    """The reply to watch."""

    events: list[EventFields]
    revision: Annotated[int, Field(description="Up to which everything was told: ask on with `after` this.")]


class Watch(Request):
    """Return the changes of keys that begin with `prefix` since revision `after`, as soon as there are any.

    Without `after`, those from now on. Nothing is missed or told twice by a client that asks on with the revision of
    the last reply. RevisionGoneError if so far back is no longer kept; it names the first revision to ask from.
    A reply with no events comes after `wait` seconds.
    """

    does = "read"
    needs = ("read",)
    concerns = "prefix"
    reply = WatchReply

    op: Literal["watch"]
    prefix: Prefix = ""
    after: Annotated[int, Field(ge=0)] | None = None
    wait: Annotated[float, Field(ge=0, le=MOST_WAIT_SECONDS, description="Seconds.")] = 0.0
    limit: Page = 1000
