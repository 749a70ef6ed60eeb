"""Commits as events for those who watch."""

from collections.abc import Callable, Iterator

from kvd.backend.feed import Event
from kvd.backend.file.engine.interface import Put
from kvd.backend.file.store.committed import Change, Committed
from kvd.backend.file.store.store import Store


class FileEvents:
    """What becomes of the keys of a store; see `kvd.backend.feed.Source`."""

    def __init__(self, store: Store) -> None:
        self._keys = store.keys
        self._engine = store.engine
        self._told: Callable[[list[Event]], None] | None = None
        store.keys.subscribe(self._follow)

    @property
    def revision(self) -> int:
        """The store's revision."""
        return self._engine.revision

    @property
    def told_from(self) -> int:
        """The revision after which the file has all events."""
        return self._engine.history_from

    def tell(self, told: Callable[[list[Event]], None] | None) -> None:
        """Call `told` with the events of every commit; None: make none."""
        self._told = told
        self._keys.keeps_dropped_values = told is not None

    def history(self, after: int) -> Iterator[Event | None]:
        """Yield the events that the file has."""
        return self._engine.history(after)

    def _follow(self, committed: Committed) -> None:
        if self._told is not None:
            at = round(committed.time, 3)  # as the file tells it
            self._told([self._event(change, at) for change in committed.changes])

    def _event(self, change: Change, time: float) -> Event:
        key, old, new = change
        # Of what a compaction dropped while nobody watched, only some values were kept.
        previous = None if old is None else (old.value or None) if isinstance(old, Put) else self._engine.read(old)
        if isinstance(new, Put):
            return Event("created" if old is None else "updated", key, new.value, previous, new.revision, time)
        return Event(new.kind, key, None, previous, new.revision, time)
