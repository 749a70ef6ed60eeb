"""The engine's interface: what the store needs of whatever keeps its data.

An engine keeps live entries by key and makes commits durable; it knows nothing of time, limits of keys and values, or
who asks. `kvd.backend.file.engine.file` is the one there is. Every method is called from one thread, the store's owner,
except `Engine.write`, which touches only the medium and may run in another while the owner goes on reading.
"""

import math
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from kvd.backend.asking import Owner
from kvd.backend.feed import Event
from kvd.histogram import Histogram

NEVER = math.inf
"""The `expires_at` of what never expires. (A clock that stands before 1970 makes negative ones.)"""


LOST = b"null"
"""The `Outcome.fields` of a reply whose fields had to be forgotten."""


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
    """A key's new state."""

    value: bytes
    """Compact UTF-8 JSON."""
    revision: int
    expires_at: float
    owner: Owner | None = None


class Removal(NamedTuple):
    """A key is no more."""

    revision: int
    kind: Literal["deleted", "expired", "released"] = "deleted"


class Outcome(NamedTuple):
    """What became of a client's latest carried-out request."""

    number: int
    """Of the request."""
    revision: int
    """Of the store after it."""
    fields: bytes = b""
    """What the reply says besides `ok` and `revision`: JSON fields with no brace around them, such as `"value":7`.
    `LOST` if there were some, and no room to keep them.
    """


class Clear(NamedTuple):
    """All keys with a prefix are gone that have no later revision, though the file still has entries of some.

    Whoever puts such a key again before its removal was written down writes that first, in the same commit.
    """

    prefix: str
    revision: int


class Commit(NamedTuple):
    """The atomic unit: after a crash, all of it is there or nothing."""

    revision: int
    """The store's revision once it is applied."""
    time: float
    """When it was decided, in Unix seconds; `NEVER` if it lacks changes, so that the history begins behind it."""
    changes: list[tuple[str, Put | Removal]]
    """In their order. A key may come more than once; the last counts."""
    outcomes: dict[str, Outcome]
    """By client."""
    clear: Clear | None = None
    """A removal that this commit decides and later commits write down, key by key."""
    cleared: int | None = None
    """The revision of such a removal, all of whose keys are written down with this commit."""


class DiskJob(NamedTuple):
    """A part of a compaction that waits for the disk and touches nothing else."""

    run: Callable[[], None]
    alone: bool
    """Whether no commit may be between `stage` and `apply` meanwhile."""


Compaction = Generator[DiskJob | None, None, None]
History = Generator[Event | None, None, None]


class Engine(Protocol):
    """Keeps entries and makes commits durable, one at a time: `stage`, then `write`, then `apply`."""

    path: Path
    revision: int
    """Of the last applied commit."""
    outcomes: dict[str, Outcome]
    """By client, as they stood when the engine was opened; the latest client last."""
    clears: list[Clear]
    """Those that are not `cleared` as of the last `apply`."""
    dropped: list[tuple[str, Entry]]
    """What a compaction has dropped because it had expired; whoever takes note of it empties the list. The values can
    be read until the next step of the compaction.
    """
    history_from: int
    """`history` can tell the events after this revision."""

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

    def keys(self) -> list[str]:
        """Return the keys of all entries, in no order."""
        ...

    def owners(self) -> Iterator[tuple[str, Owner]]:
        """Yield key and owner of every entry that has one."""
        ...

    def cost(
        self,
        changes: list[tuple[str, Put | Removal]],
        client: str | None,
        fields: bytes = b"",
        clear: Clear | None = None,
    ) -> int:
        """Return an upper bound of the bytes that an operation adds to a commit.

        `client` is whose outcome it adds, `fields` are that outcome's.
        """
        ...

    def room(self, *, removing: bool) -> int:
        """Return how many bytes of changes still fit; `removing` opens the part that is kept for removals."""
        ...

    @property
    def size(self) -> int:
        """Bytes of the medium, those kept for the next commits included."""
        ...

    @property
    def syncs(self) -> Histogram:
        """How long the syncs of commits took."""
        ...

    @property
    def live_bytes(self) -> int:
        """Bytes that hold live entries."""
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

    def compact(
        self, now: float, outcomes: dict[str, Outcome], keys: Iterable[str] | None = None, *, untold: bool = False
    ) -> Compaction:
        """Free what is superseded, removed, or expired at `now`; remember `outcomes` instead of those so far.

        Where those do not all fit, the fields of the earlier ones become `LOST`, then the earlier ones go. `keys`, all
        that there are, gives the order in which entries are written; without it, or if it is short, that is theirs in
        the index. Where something has expired, or with `untold`, which says that of an earlier compaction's something
        is not told yet, the medium notes that removals are not in it; when it is opened again its history begins anew.

        A generator of short steps for the owner's thread. Where it yields a `DiskJob`, that is run, in whatever
        thread, before the next step; where it fails, its exception is thrown in. Closing the generator gives up.
        """
        ...

    def history(self, after: int) -> History:
        """Yield the events of revisions above `after`, in their order, up to the last commit at the first step.

        Of a clear that is not `cleared` yet, those keys are told that are written down by then.

        A generator of short steps for the owner's thread, with None between them. Commits and compactions may come
        meanwhile. Raises `RevisionGoneError` at the first step if `after` is below `history_from`, and
        `StoreCorruptError` if another program interfered with the medium.
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
