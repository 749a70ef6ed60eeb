"""What the store tells of a key and of a change, as programs get it."""

from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    V = TypeVar("V", default=Any)
else:
    from typing import TypeVar

    V = TypeVar("V")

EventKind = Literal["created", "updated", "deleted", "expired", "released"]


class Owner(NamedTuple):
    """The process that an ephemeral key is bound to."""

    pid: int
    uid: int


class Entry(NamedTuple, Generic[V]):
    """A key and all that is known of it. `Entry[Model]` has its value as an object of that type."""

    key: str
    value: V
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
