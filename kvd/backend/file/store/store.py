"""The store: decides operations one after the other, and has the engine commit what they change together.

A group of operations goes through three calls: `decide` (in memory), `write` (waits for the disk; may run in another
thread while reads go on), `finish` (makes it visible). Reads see finished groups only, which are durable as far as
the sync mode asks. The operations of a group are decided on what those before them in the group will have changed;
one group is under way at a time, so an operation is never decided on what may yet fail without it failing too.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kvclient.contract.errors import (
    BatchTooLargeError,
    DataStoreError,
    KeyExistsError,
    KeyNotFoundError,
    StoreFullError,
)
from kvclient.contract.rules import all_valid, check_key, check_ttl, check_value_size, summary
from kvd.backend.file.engine.interface import NEVER, Commit, Compaction, Engine, Entry, Put
from kvd.backend.file.store.expiry import Expiry, is_expired
from kvd.backend.file.store.operations import Create, Delete, Operation, Sweep
from kvd.backend.file.store.outcomes import Outcomes, Result, recall, split_id

# Where less than this is left for the records of what a sweep removes, a compaction does its work.
_SWEEP_BYTES = 256
# A compaction that failed, for want of room on the disk, say, is not tried again for so long.
_FAILED_SECONDS = 10.0


class Limits(NamedTuple):
    """See the settings of the same names."""

    max_key_length: int = 256
    max_value_bytes: int = 1 << 20
    max_batch: int = 10_000
    max_file_bytes: int = 1 << 30
    compact_share: float = 0.5
    compact_min_bytes: int = 16 << 20


@dataclass(slots=True)
class Group:
    """Operations decided together."""

    results: list[Result] = field(default_factory=list)
    """Of the operations that were decided, in their order. The others wait for a compaction."""
    changes: dict[str, Put | None] = field(default_factory=dict)
    durable: dict[str, tuple[int, int]] = field(default_factory=dict)
    heard: dict[str, tuple[int, Result]] = field(default_factory=dict)
    swept: list[tuple[float, str]] = field(default_factory=list)
    """What sweeps took from the keys that are due; `fail` puts it back."""
    sweep_waits: bool = False
    """Whether a sweep did nothing, for want of room: a compaction will drop what has expired."""
    revision: int = 0
    cost: int = 0
    expires: bool = False
    """Whether anything in it has a TTL."""
    staged: Any = None
    """The engine's commit; None if nothing changes."""


class _Waits(Exception):
    """The operation does not fit now, and may once the group is written or the file compacted."""


class Store:
    """Keys and values with TTL, limits and revisions on an engine."""

    def __init__(self, engine: Engine, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds."""
        self._engine = engine
        self._limits = limits
        self._clock = clock
        self._expiry = Expiry(engine.expiring())
        self._outcomes = Outcomes(engine.outcomes)
        self._compact_from = 0.0

    def __len__(self) -> int:
        """Return the number of keys, expired ones that were not swept yet included."""
        return len(self._engine)

    def read(self, key: str) -> tuple[bytes, Entry]:
        """Return a key's value as JSON, and its entry. Raises `KeyNotFoundError`, or the error of an invalid key."""
        entry = self._engine.find(key)
        if entry is None or is_expired(entry, self._clock()):
            raise self._not_found(key)
        return self._engine.read(entry), entry

    def _not_found(self, key: str) -> DataStoreError:
        try:
            check_key(key, self._limits.max_key_length)
        except DataStoreError as error:
            return error
        return KeyNotFoundError(f"Key {key!r} does not exist, or has expired.", [key])

    # Changes.

    def decide(self, operations: Sequence[Operation]) -> Group:
        """Decide operations in their order, up to the first that has to wait for a compaction (see `Group.results`)."""
        group = Group(revision=self._engine.revision)
        now = self._clock()
        for operation in operations:
            try:
                group.results.append(self._decide_once(operation, group, now))
            except _Waits:
                break
            except DataStoreError as error:
                # It may be remembered for long, and its traceback would keep all of this call alive.
                group.results.append(error.with_traceback(None))
        if group.revision != self._engine.revision:
            group.staged = self._engine.stage(Commit(group.revision, group.changes, group.durable))
        return group

    def _decide_once(self, operation: Operation, group: Group, now: float) -> Result:
        """Decide an operation, unless it is the repetition of one that was decided already."""
        if operation.id is None:
            return self._decide(operation, group, now, None)
        client, number = split_id(operation.id)
        outcome = recall(group.heard.get(client) or self._outcomes.latest(client), client, number)
        if outcome is not None:
            return outcome
        try:
            revision = self._decide(operation, group, now, client)
        except DataStoreError as error:
            group.heard[client] = (number, error)
            raise
        group.heard[client] = group.durable[client] = (number, revision)
        return revision

    def recall(self, operation: Operation) -> Result | None:
        """Return what became of an operation that repeats one of a finished group; None if it is new."""
        if operation.id is None:
            return None
        client, number = split_id(operation.id)
        return recall(self._outcomes.latest(client), client, number)

    def _decide(self, operation: Operation, group: Group, now: float, client: str | None) -> int:
        match operation:
            case Create():
                changes = self._create(operation, group, now)
            case Delete():
                changes = self._delete(operation, group, now)
            case Sweep():
                changes = self._sweep(operation, group, now)
        if changes:
            cost = self._engine.cost(changes, client)
            try:
                self._check_room(cost, group, now, removing=not isinstance(operation, Create))
            except (_Waits, StoreFullError):
                if not isinstance(operation, Sweep):
                    raise
                self.fail(group)
                group.swept.clear()
                group.sweep_waits = True
                return group.revision
            group.cost += cost
            group.changes.update(changes)
            group.revision += 1
        return group.revision

    def _create(self, operation: Create, group: Group, now: float) -> dict[str, Put | None]:
        ttl = check_ttl(operation.ttl)
        if len(operation.items) > self._limits.max_batch:
            raise BatchTooLargeError(
                f"The batch has {len(operation.items)} operations; "
                f"the limit is {self._limits.max_batch} (setting max_batch)."
            )
        self._check_items(operation.items, group, now)
        expires_at = NEVER if ttl is None else now + ttl
        group.expires = group.expires or ttl is not None
        revision = group.revision + 1
        changes: dict[str, Put | None] = {}
        for key, value in operation.items.items():
            changes[key] = Put(value, revision, expires_at)
        return changes

    def _check_items(self, items: dict[str, bytes], group: Group, now: float) -> None:
        """Raise one error that names every key that stands in the way."""
        limits = self._limits
        if (
            len(items) > 1  # of one, the loop is faster
            and all_valid(items, limits.max_key_length)
            and max(map(len, items.values())) <= limits.max_value_bytes
            and group.changes.keys().isdisjoint(items)
            and not self._engine.holds_any(items)
        ):
            return
        problems: list[DataStoreError] = []
        for key, value in items.items():
            try:
                check_key(key, limits.max_key_length)
                check_value_size(len(value), key, limits.max_value_bytes)
                if self._exists(key, group, now):
                    raise KeyExistsError(f"Key {key!r} exists.", [key])
            except DataStoreError as error:
                problems.append(error)
        if problems:
            raise summary(problems)

    def _delete(self, operation: Delete, group: Group, now: float) -> dict[str, Put | None]:
        if not self._exists(operation.key, group, now):
            raise self._not_found(operation.key)
        return {operation.key: None}

    def _sweep(self, operation: Sweep, group: Group, now: float) -> dict[str, Put | None]:
        changes: dict[str, Put | None] = {}
        for _ in range(2 * operation.most):  # many may be stale
            if len(changes) == operation.most or (due := self._expiry.due(now)) is None:
                break
            expires_at, key = due
            entry = self._engine.find(key)
            if entry is not None and entry.expires_at == expires_at:
                group.swept.append(due)
                if key not in group.changes:
                    changes[key] = None
        return changes

    def _exists(self, key: str, group: Group, now: float) -> bool:
        if key in group.changes:
            return group.changes[key] is not None
        entry = self._engine.find(key)
        return entry is not None and not is_expired(entry, now)

    def _check_room(self, cost: int, group: Group, now: float, *, removing: bool) -> None:
        needed = group.cost + cost
        room = self._engine.room(removing=removing)
        if needed <= room:
            return
        if group.cost:
            raise _Waits
        if needed <= room + self._engine.reclaimable or self._has_expired(now):
            if self.compaction_failed:
                raise StoreFullError("The data file is full, and could not be compacted. Nothing was changed.")
            raise _Waits
        raise StoreFullError(
            f"The data file would pass its limit of {self._limits.max_file_bytes} bytes (setting max_file_bytes), "
            "also without what is expired and deleted. Nothing was changed."
        )

    def _has_expired(self, now: float) -> bool:
        """Tell whether a compaction would free an expired key."""
        while (due := self._expiry.due(now)) is not None:
            entry = self._engine.find(due[1])
            if entry is not None and entry.expires_at == due[0]:
                self._expiry.put_back([due])
                return True
        return False

    def write(self, group: Group) -> None:
        """Write the group's commit, if it has one. Raises the errors of `Engine.write`; then call `fail`."""
        if group.staged is not None:
            self._engine.write(group.staged)

    def finish(self, group: Group) -> None:
        """Make the written group visible."""
        if self._expiry or group.expires:
            self._note_expiry(group.changes)
        if group.staged is not None:
            self._engine.apply(group.staged)
        for client, (number, result) in group.heard.items():
            self._outcomes.add(client, number, result)
        if self._expiry.overgrown():
            self._expiry = Expiry(self._engine.expiring())

    def _note_expiry(self, changes: dict[str, Put | None]) -> None:
        for key, put in changes.items():
            before = self._engine.find(key)
            if before is not None and before.expires_at != NEVER:
                self._expiry.discard()
            if put is not None and put.expires_at != NEVER:
                self._expiry.add(key, put.expires_at)

    def fail(self, group: Group) -> None:
        """Forget a group whose `write` failed. Its operations may be decided again."""
        self._expiry.put_back(group.swept)

    # Upkeep.

    def next_expiry(self) -> float | None:
        """Return when a key may expire next, in Unix seconds: time for a `Sweep`."""
        return self._expiry.next()

    @property
    def compaction_failed(self) -> bool:
        """Whether a compaction failed just now, so that waiting for another is of no use."""
        return time.monotonic() < self._compact_from

    def compaction_due(self) -> bool:
        """Tell whether so much of the file is dead, or so little of it free, that a compaction is worth its cost."""
        if self.compaction_failed:
            return False
        dead = self._engine.reclaimable
        if dead >= self._limits.compact_min_bytes and dead >= self._limits.compact_share * self._engine.used_bytes:
            return True
        if self._expiry.next() is not None and self._engine.room(removing=True) < _SWEEP_BYTES:
            return self._has_expired(self._clock())
        # Nearly full: before nothing fits any more, because then writers have to wait until the compaction is done.
        limit, room = self._limits.max_file_bytes, self._engine.room(removing=False)
        return room < limit // 10 and dead > max(room, limit // 100)

    def compact(self) -> Compaction:
        """Go through the steps of a compaction; see `Engine.compact`.

        After one that failed none is due for a while, and what needs the room is refused.
        """
        # A generator of its own: what is committed before the first step has its outcome carried over, too.
        now = self._clock()
        try:
            yield from self._engine.compact(now, self._outcomes.durable())
        except Exception:
            self._compact_from = time.monotonic() + _FAILED_SECONDS
            raise
        self._expiry.drop(now)
