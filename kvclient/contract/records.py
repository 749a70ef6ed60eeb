"""What the store tells of a key and of a change, as programs get it."""

from typing import Any, Literal, NamedTuple

EventKind = Literal["created", "updated", "deleted", "expired", "released"]


class Owner(NamedTuple):
    """The process that an ephemeral key is bound to."""

    pid: int
    uid: int


class Entry(NamedTuple):
    """A key and all that is known of it."""

    key: str
    value: Any
    """None in a list that was asked for without values."""
    revision: int
    """The store's revision at which the key got this value."""
    expires_at: float | None = None
    """Unix seconds; None if it never expires."""
    owner: Owner | None = None
    """None if the key is not ephemeral."""


class Event(NamedTuple):
    """A change of one key."""

    kind: EventKind
    """`released`: the process ended that the key was bound to."""
    key: str
    value: Any
    """None if the key is gone."""
    previous: Any
    """What it was before; None if the key was created."""
    revision: int
    """The store's revision with this change. All keys of one `batch_create` have the same."""
    time: float
    """Unix seconds."""
