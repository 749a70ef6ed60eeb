"""What becomes of keys, told in order: the events that a watch delivers."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol


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


class Source(Protocol):
    """Where events come from."""

    @property
    def revision(self) -> int:
        """The store's revision: that of the last change that is visible."""
        ...

    @property
    def told_from(self) -> int:
        """The revision after which `history` knows all events."""
        ...

    def tell(self, told: Callable[[list[Event]], None] | None) -> None:
        """Call `told` with the events of every commit from now on; None: do not."""
        ...

    def history(self, after: int) -> Iterator[Event | None]:
        """Yield the events of revisions above `after`, in their order, up to the present one; None between steps.

        Raises `RevisionGoneError` if they are no longer all known.
        """
        ...
