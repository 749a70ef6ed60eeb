"""The engine's interface: what the store needs of whatever keeps its data.

An engine keeps live entries by key and makes commits durable; it knows nothing of time, limits of keys and values, or
who asks. `kvd.backend.file.engine.file` is the one there is. Every method is called from one thread, the store's owner,
except `Engine.write`, which touches only the medium and may run in another while the owner goes on reading.
"""

import math
from collections.abc import Callable, Collection, Generator, Iterator
from typing import Any, NamedTuple, Protocol

NEVER = math.inf
"""The `expires_at` of what never expires. (A clock that stands before 1970 makes negative ones.)"""


class Entry(NamedTuple):
    """What is known of a live key without touching the disk."""

    address: int
    """Where the value lies; only the engine knows what this counts."""
    length: int
    """Bytes of the value as compact JSON."""
    revision: int
    expires_at: float
    """Unix seconds, or `NEVER`."""


class Put(NamedTuple):
    """A key's new state. (Its removal is None.)"""

    value: bytes
    """Compact UTF-8 JSON."""
    revision: int
    expires_at: float


class Commit(NamedTuple):
    """The atomic unit: after a crash, all of it is there or nothing."""

    revision: int
    """The store's revision once it is applied."""
    changes: dict[str, Put | None]
    outcomes: dict[str, tuple[int, int]]
    """Client → number and revision of its latest carried-out request."""


class DiskJob(NamedTuple):
    """A part of a compaction that waits for the disk and touches nothing else."""

    run: Callable[[], None]
    alone: bool
    """Whether no commit may be between `stage` and `apply` meanwhile."""


Compaction = Generator[DiskJob | None, None, None]


class Engine(Protocol):
    """Keeps entries and makes commits durable, one at a time: `stage`, then `write`, then `apply`."""

    revision: int
    """Of the last applied commit."""
    outcomes: dict[str, tuple[int, int]]
    """As they stood when the engine was opened."""

    def __len__(self) -> int: ...

    def find(self, key: str) -> Entry | None:
        """Return the key's entry as of the last `apply`."""
        ...

    def holds_any(self, keys: Collection[str]) -> bool:
        """Tell whether `find` has an entry for any of `keys`."""
        ...

    def read(self, entry: Entry) -> bytes:
        """Return the value's JSON."""
        ...

    def expiring(self) -> Iterator[tuple[float, str]]:
        """Yield `expires_at` and key of every entry that has one."""
        ...

    def cost(self, changes: dict[str, Put | None], client: str | None) -> int:
        """Return an upper bound of the bytes that an operation adds to a commit; `client` is whose outcome it adds."""
        ...

    def room(self, *, removing: bool) -> int:
        """Return how many bytes of changes still fit; `removing` opens the part that is kept for removals."""
        ...

    @property
    def used_bytes(self) -> int:
        """Bytes that the medium has been filled with."""
        ...

    @property
    def reclaimable(self) -> int:
        """Bytes that a compaction would free."""
        ...

    def stage(self, commit: Commit) -> Any:
        """Return the commit made ready to be written. Nothing is changed."""
        ...

    def write(self, staged: Any) -> None:
        """Make it durable as far as the sync mode asks. Raises `StoreFullError` or `StoreCorruptError` with nothing
        changed, or `EngineFailure`.
        """
        ...

    def apply(self, staged: Any) -> None:
        """Make it visible to `find`. Cannot fail."""
        ...

    def sync(self) -> None:
        """Make durable what was written. Raises `EngineFailure`."""
        ...

    def compact(self, now: float, outcomes: dict[str, tuple[int, int]]) -> Compaction:
        """Free what is superseded, removed, or expired at `now`; remember `outcomes` instead of those so far.

        A generator of short steps for the owner's thread. Where it yields a `DiskJob`, that is run, in whatever
        thread, before the next step; where it fails, its exception is thrown in. Closing the generator gives up.
        """
        ...

    def rescue(self, alive: Callable[[], None]) -> str:
        """Save beside the medium what the engine holds, and tell where; for when `verify` has failed.

        Takes long, with `alive` called all the while.
        """
        ...

    def verify(self) -> None:
        """Raise `StoreCorruptError` if another program interfered with the medium."""
        ...

    def close(self) -> None:
        """Leave the medium tidy and free it for others."""
        ...


class EngineFailure(Exception):
    """The medium failed in a way after which nothing more may be written: only a new start tells what is on it."""
