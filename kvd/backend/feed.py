"""What becomes of keys, told in order: the events that a watch delivers."""

from typing import NamedTuple


class Event(NamedTuple):
    """One change of one key."""

    kind: str
    """`created`, `updated`, `deleted`, `expired` or `released`."""
    key: str
    value: bytes | None
    """Compact UTF-8 JSON; None if the key is gone."""
    previous: bytes | None
    """The value before; None if the key was created."""
    revision: int
    time: float
    """When it was decided, in Unix seconds, to the millisecond."""
