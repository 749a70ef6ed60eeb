"""What a finished group changed. Whoever wants to know subscribes; nobody else looks into a commit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kvd.backend.file.engine.interface import Entry, Put, Removal

Old = Entry | Put | None
"""What a key was before: an entry on the medium, something put earlier in the same commit, or not there."""


Change = tuple[str, Old, Put | Removal]
"""A key, what it was before, and what has become of it."""


@dataclass(slots=True)  # made in half the time of a NamedTuple
class Committed:
    """A commit that is durable, as far as the sync mode asks, and visible."""

    revision: int
    time: float
    """Unix seconds."""
    news: list[tuple[str, Put | Removal]]
    """Keys and what has become of them, in the order of the changes. A key may come more than once."""
    olds: list[Old]
    """What each of them was before."""
    removes: bool
    """Whether a key is gone."""
    binds: bool
    """Whether a key was bound to a process."""
    expires: bool
    """Whether a key was given a TTL."""

    @property
    def changes(self) -> Iterator[Change]:
        """The changes in their order."""
        return ((key, old, new) for (key, new), old in zip(self.news, self.olds, strict=True))


Subscriber = Callable[[Committed], None]
