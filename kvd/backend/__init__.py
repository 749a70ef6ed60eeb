"""The seam between the server and what keeps the data.

A backend takes requests that were parsed and answers each through its asker, at once or later. It has revisions,
atomicity and events of its own; where it keeps its data, and how, nobody else asks.
"""

from typing import Any, Protocol

from kvd.backend.asking import Asker
from kvd.backend.feed import Source


class Backend(Protocol):
    """Carries out operations. Every method is called from the loop's thread, and none of them waits."""

    fd: int
    """Becomes readable when `work` has something to do."""
    events: Source

    @property
    def refusing(self) -> Exception | None:
        """Why all changes are refused; None if they are not."""
        ...

    def read(self, request: Any, asker: Asker, size: int) -> None:
        """Answer a request that changes nothing. Raises `DataStoreError` for one that is refused at once.

        Its `prefix`, if it has one, may be a tuple of several, in the order of the keys and none covering another: it
        concerns the keys that begin with one of them. That is what an asker may see of the one that it asked for.
        """
        ...

    def submit(self, request: Any, asker: Asker, size: int) -> None:
        """Have a change carried out in one of the next groups; `size` is the bytes of the request."""
        ...

    def compact(self) -> None:
        """Start to free the space of what is gone. Raises `DataStoreError` where that is not done by request."""
        ...

    # For the loop.

    def answered(self, seconds: float) -> None:
        """Take note that the reads of the last round took so long. They stand for all reads since the last call."""
        ...

    @property
    def accepts(self) -> bool:
        """Whether more requests should be received now."""
        ...

    @property
    def busy(self) -> bool:
        """Whether another thread is at work, which wants the interpreter."""
        ...

    @property
    def gathering(self) -> bool:
        """Whether changes are queued and the loop should see who else has some before it calls `work`."""
        ...

    @property
    def queued(self) -> bool:
        """Whether changes are queued."""
        ...

    @property
    def unfinished(self) -> bool:
        """Whether something that was asked for is not answered yet."""
        ...

    def work(self, *, stopping: bool) -> float:
        """Do what is due, and return in how many seconds to call again. Raises `failure`."""
        ...

    def close(self) -> None:
        """Leave everything tidy. Nothing is unfinished, unless there was a failure."""
        ...

    # For people.

    def describe(self) -> dict[str, Any]:
        """Return what the status tells of the backend."""
        ...

    def statistics(self) -> dict[str, Any]:
        """Return what the statistics tell of the backend."""
        ...
