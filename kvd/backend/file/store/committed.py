"""What a finished group changed. Whoever wants to know subscribes; nobody else looks into a commit."""

from collections.abc import Callable
from typing import NamedTuple

from kvd.backend.file.engine.interface import Entry, Put, Removal

Old = Entry | Put | None
"""What a key was before: an entry on the medium, something put earlier in the same commit, or not there."""


Change = tuple[str, Old, Put | Removal]
"""A key, what it was before, and what has become of it."""


class Committed(NamedTuple):
    """A commit that is durable, as far as the sync mode asks, and visible."""

    revision: int
    time: float
    """Unix seconds."""
    changes: list[Change]
    """In their order. A key may come more than once."""
    removes: bool
    """Whether a key is gone."""
    binds: bool
    """Whether a key was bound to a process."""
    expires: bool
    """Whether a key was given a TTL."""


Subscriber = Callable[[Committed], None]
