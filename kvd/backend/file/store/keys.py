"""The keys that there are: the engine's index, and beside it their order, expiry, owners and pending clears.

Reads are functions of this; they see finished groups only.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Literal

from sortedcontainers import SortedDict

from kvclient.contract.errors import DataStoreError, KeyNotFoundError
from kvclient.contract.rules import check_key
from kvd.backend.file.engine.interface import NEVER, Clear, Engine, Entry, Put, Removal
from kvd.backend.file.store.clears import Clears
from kvd.backend.file.store.committed import Committed, Subscriber
from kvd.backend.file.store.expiry import Expiry, is_expired
from kvd.backend.file.store.order import Order, between, end_of
from kvd.backend.file.store.owners import Owners
from kvd.limits import Limits

_NOTED_AT_ONCE = 500
"""Overdue keys that are looked at in one step."""
_DROPPED_BYTES = 1 << 20
"""Of values of expired keys that a compaction dropped, kept while nobody watches: somebody may yet begin."""


class Keys:
    """What is known of all keys, as of the last finished group."""

    def __init__(self, engine: Engine, limits: Limits, clock: Callable[[], float]) -> None:
        self.engine = engine
        self._find = engine.find
        self.limits = limits
        self.clock = clock
        """Gives Unix seconds."""
        self.order = Order(lambda: [*engine.keys(), *self._dropped])  # what was dropped is removed later, as others are
        self.expiry = Expiry(engine.expiring())
        self.owners = Owners(engine.owners())
        self.clears = Clears(engine.clears)
        self._dropped: SortedDict[str, Put] = SortedDict()
        self._dropped_bytes = 0
        """Of their values, as far as they are kept."""
        self.keeps_dropped_values = False
        """Whether somebody wants to be told the values of expired keys that a compaction dropped, however many."""
        self.removed: Counter[str] = Counter()
        """How many keys have gone since the start, by kind."""
        self._subscribers: list[Subscriber] = [self.order.follow]

    def __len__(self) -> int:
        """Return the number of entries, those of expired keys that were not swept yet included."""
        return len(self.engine)

    # Looking.

    def live(self, key: str, now: float) -> Entry | None:
        """Return the entry of a key that exists at `now`."""
        entry = self._find(key)
        return None if entry is None or self.is_gone(key, entry, now) else entry

    def find(self, key: str) -> Entry | None:
        """Return the entry of a key that exists now; None if there is none. Raises if it cannot be a key."""
        entry = self._find(key)
        if entry is None:
            check_key(key, self.limits.max_key_length)
        elif (entry.expires_at != NEVER or self.clears) and self.is_gone(key, entry, self.clock()):
            return None
        return entry

    def existing(self, key: str) -> Entry:
        """Return the entry of a key that exists now. Raises `KeyNotFoundError`, or the error of an invalid key."""
        entry = self.find(key)
        if entry is None:
            raise KeyNotFoundError(f"Key {key!r} does not exist, or has expired.", [key])
        return entry

    def is_gone(self, key: str, entry: Entry, now: float) -> Literal["deleted", "expired"] | None:
        """Return how a key that still has an entry went; None if it did not."""
        if self.clears and self.clears.covers(key, entry):
            return "deleted"
        return "expired" if is_expired(entry, now) else None

    def value(self, key: str, entry: Entry) -> bytes:
        """Return a value as compact JSON. Raises `DataStoreError` if it cannot be read."""
        try:
            return self.engine.read(entry)
        except DataStoreError as error:
            error.keys = error.keys or (key,)
            raise

    # Counting.

    def counts_at_once(self, prefix: str) -> bool:
        """Tell whether `count` is exact for a prefix; where it is not, go a step further towards that."""
        if self.clears.left(prefix) is None or not (prefix == "" or self.order.ready()):
            return False
        now = self.clock()
        for _ in range(_NOTED_AT_ONCE):
            due = self.expiry.next_unnoted(now)
            if due is None:
                return True
            expires_at, key = due
            entry = self.engine.find(key)
            if entry is not None and entry.expires_at == expires_at and not self.clears.covers(key, entry):
                self.expiry.note_overdue(key, expires_at)
        return False

    def count(self, prefix: str) -> int:
        """Return how many keys with a prefix exist now."""
        end = end_of(prefix)
        entries = self.order.count(prefix) if prefix else len(self.engine) + len(self._dropped)
        return (
            entries
            - (self.clears.left(prefix) or 0)
            - self.expiry.overdue(prefix, end)
            - between(self._dropped, prefix, end)
        )

    # What a compaction dropped: keys that had expired, and have no entry any more. It is told of in a commit behind it.

    def note_dropped(self, dropped: list[tuple[str, Entry]]) -> None:
        """Take over from the engine what a compaction has just dropped."""
        for key, entry in dropped:
            value = b""
            if self.keeps_dropped_values or self._dropped_bytes + entry.length <= _DROPPED_BYTES:
                with suppress(DataStoreError):  # that the disk does not give it keeps nothing from being dropped
                    value = self.engine.read(entry)
            self._dropped_bytes += len(value)
            self._dropped[key] = Put(value, entry.revision, entry.expires_at)
            self.expiry.forget_overdue(key)  # or it would be counted as gone twice
            self.clears.forget(key, entry)
        dropped.clear()

    @property
    def have_chores(self) -> bool:
        """Whether there is something to be written down, or told of, that is gone already."""
        return bool(self._dropped or self.clears)

    def dropped(self, most: int) -> list[str]:
        """Return some of the keys that were dropped and not told of."""
        return list(islice(self._dropped, most))

    def dropped_state(self, key: str) -> Put | None:
        """Return what a key was that was dropped and not told of."""
        return self._dropped.get(key) if self._dropped else None

    def dropped_any(self, keys: dict[str, bytes]) -> bool:
        """Tell whether any of the keys was dropped and not told of."""
        return bool(self._dropped) and not self._dropped.keys().isdisjoint(keys)

    # Following.

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have `subscriber` called with everything that is committed from now on."""
        self._subscribers.append(subscriber)

    def follow(self, committed: Committed) -> None:
        """Take over what a commit changed."""
        for subscriber in self._subscribers:
            subscriber(committed)
        if self.clears:
            self.clears.follow(committed)
        if committed.removes:
            self.removed.update(new.kind for _, new in committed.news if isinstance(new, Removal))
        if committed.expires or self.expiry:
            self.expiry.follow(committed)
            if self.expiry.overgrown():
                self.expiry = Expiry(self.engine.expiring())
        if committed.binds or self.owners:
            self.owners.follow(committed)
        if self._dropped:
            for key, _ in committed.news:
                if (told := self._dropped.pop(key, None)) is not None:
                    self._dropped_bytes -= len(told.value)

    def cleared(self, clear: Clear, later: int) -> None:
        """Take over a clear of the commit that was followed last, which put `later` such keys behind it."""
        prefix, end = clear.prefix, end_of(clear.prefix)
        self.expiry.forget_overdue_from(prefix, end)
        self.clears.add(clear, self.order.count(prefix) - between(self._dropped, prefix, end) - later)

    def has_expired(self, now: float) -> bool:
        """Tell whether a compaction would free an expired key."""
        while (due := self.expiry.due(now)) is not None:
            entry = self.engine.find(due[1])
            if entry is not None and entry.expires_at == due[0]:
                self.expiry.put_back([due])
                return True
        return False
