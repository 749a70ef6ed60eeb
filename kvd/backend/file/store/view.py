"""The store as an operation of a group finds it and leaves it.

An operation is a function of a view and its request: it looks keys up, puts and removes some, and returns what its
reply says besides the revision. The view shows it what the operations before it in the group did, numbers its changes,
and takes them back if it is refused.
"""

from itertools import islice
from typing import Literal

from kvclient.contract.errors import DataStoreError, KeyNotFoundError, RevisionMismatchError
from kvclient.contract.rules import check_key, check_ttl
from kvd.backend.asking import Asker, Owner
from kvd.backend.file.engine.interface import NEVER, Clear, Entry, Put, Removal
from kvd.backend.file.store.committed import Committed, Old
from kvd.backend.file.store.keys import Keys
from kvd.limits import Limits

State = Entry | Put
"""What is known of a key that exists."""


class View:
    """The keys of a store at one time, with the changes of a group so far."""

    removes = False
    """Whether a key was removed."""
    binds = False
    """Whether a key was bound to a process."""
    expires = False
    """Whether a key was given a TTL."""
    clear: Clear | None = None
    cleared: int | None = None
    reached: str | None = None
    """Up to which key a clear is written down."""
    asker: Asker | None = None
    """Who asks for the operation that is being decided."""
    _looked_up: tuple[str | None, Entry | None] = (None, None)
    """The last key that was looked for, which is mostly the next to change, and its entry."""
    _absent: str | None = None
    """The last key that was looked for, and is not known at all: neither before the group nor by a change of it."""

    def __init__(self, keys: Keys, now: float) -> None:
        # Above stands what most groups leave as it is: a group of one operation takes a microsecond less so.
        self._keys = keys
        self._engine = keys.engine
        self.now = now
        """Unix seconds."""
        self.revision = self.started = self._engine.revision
        """Of the last change, and of that before the operation."""
        self.changes: list[tuple[str, Put | Removal]] = []
        self._unwritten: set[int] = set()
        """The revisions of changes that are not to be written."""
        self._olds: list[Old] = []
        """For each change, what was there before it."""
        self._latest: dict[str, Put | Removal] = {}
        self.swept: list[tuple[float, str]] = []
        """What sweeps took from the keys that are due; it has to be put back if the group fails."""

    @property
    def limits(self) -> Limits:
        """The bounds of what the store takes."""
        return self._keys.limits

    # Looking.

    def find(self, key: str) -> State | None:
        """Return what is known of a key; None if it does not exist, or has expired. Raises if it cannot be a key."""
        latest = self._latest.get(key)
        if latest is not None:
            return latest if type(latest) is Put else None
        entry = self._engine.find(key)
        self._looked_up = key, entry
        if entry is None:
            check_key(key, self._keys.limits.max_key_length)
            if self._keys.dropped_state(key) is None:
                self._absent = key
        elif self._is_gone(key, entry):
            return None
        return entry

    def _is_gone(self, key: str, entry: Entry) -> Literal["deleted", "expired"] | None:
        if self.clear is not None and key.startswith(self.clear.prefix):
            return "deleted"
        return self._keys.is_gone(key, entry, self.now)

    def existing(self, key: str) -> State:
        """Return what is known of a key. Raises `KeyNotFoundError`."""
        state = self.find(key)
        if state is None:
            raise not_found(key)
        return state

    def at_revision(self, key: str, wanted: int | None) -> State | None:
        """Return what is known of a key, if it is at the `wanted` revision, or any (None). Raises
        `RevisionMismatchError`.
        """
        state = self.find(key)
        if wanted is not None and wanted != (found := 0 if state is None else state.revision):
            is_at = f"is at revision {found}" if found else "does not exist (revision 0)"
            expected = f"not at revision {wanted}" if wanted else "and was to be created (revision 0)"
            raise RevisionMismatchError(f"Key {key!r} {is_at}, {expected}.", [key])
        return state

    def value(self, state: State) -> bytes:
        """Return a key's value as compact JSON."""
        return state.value if type(state) is Put else self._engine.read(state)  # type: ignore[arg-type]

    def owner(self, key: str) -> Owner | None:
        """Return the process that a key is bound to."""
        latest = self._latest.get(key)
        return latest.owner if type(latest) is Put else self._keys.owners.of(key)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys with a prefix that exist, those in order first that were there before the group."""
        before = [key for key in self._keys.order.behind(prefix, "") if self.find(key) is not None]
        return before + self._added(prefix)

    def _added(self, prefix: str) -> list[str]:
        return [
            key
            for key, latest in self._latest.items()
            if type(latest) is Put and key.startswith(prefix) and self._engine.find(key) is None
        ]

    def entries(self, prefix: str) -> int:
        """Return how many entries there are under a prefix, those of keys that are gone included."""
        if not self._keys.order.ready():
            raise WaitsError
        return self._keys.order.count(prefix)

    def fresh(self, keys: dict[str, bytes]) -> bool:
        """Tell, in a fraction of the time that `find` takes for each, that none of `keys` has an entry of any kind."""
        return (
            self._latest.keys().isdisjoint(keys)
            and not self._engine.holds_any(keys)
            and not self._keys.dropped_any(keys)
        )

    # Changing.

    def expires_at(self, ttl: float | None) -> float:
        """Return when something expires that is put now. Raises `InvalidTTLError`."""
        if ttl is None:
            return NEVER
        check_ttl(ttl)
        return self.now + ttl

    def bound_to(self, ephemeral: bool | int) -> Owner | None:  # the field of the request
        """Return the process that a key is to be bound to. Raises `InvalidValueError` where it cannot be."""
        if ephemeral is False:
            return None
        assert self.asker is not None
        try:
            return self.asker.owner(ephemeral)
        except OSError as error:  # no more descriptors, say
            raise DataStoreError(
                f"The process to bind the key to cannot be looked up for now: {error.strerror}. Try again later."
            ) from None

    def put(self, key: str, value: bytes, expires_at: float, owner: Owner | None = None) -> None:
        """Give a key a new state, at a revision of its own."""
        old = None if key == self._absent else self.bury(key)
        self.revision += 1
        if owner is not None:
            self.binds = True
        if expires_at != NEVER:
            self.expires = True
        self._change(key, old, Put(value, self.revision, expires_at, owner))

    def put_all(self, items: dict[str, bytes], expires_at: float) -> None:
        """Give all `items`, which have no entry of any kind, a state, at one revision."""
        self._absent = None
        self.revision += 1
        revision = self.revision
        if expires_at != NEVER:
            self.expires = True
        changes: list[tuple[str, Put | Removal]] = [
            (key, Put(value, revision, expires_at)) for key, value in items.items()
        ]
        self.changes += changes
        self._olds += [None] * len(changes)
        self._latest.update(changes)

    def remove(self, key: str, kind: Literal["deleted", "expired", "released"] = "deleted") -> None:
        """Remove a key that has an entry, at a revision of its own."""
        self._remove(key, self._before(key), kind)

    def _remove(self, key: str, old: Old, kind: Literal["deleted", "expired", "released"]) -> None:
        self.revision += 1
        self.removes = True
        self._change(key, old, Removal(self.revision, kind))

    def bury(self, key: str) -> Old:
        """Write down the removal of a key that is gone but for that. Return its state, None if there is none."""
        state = self._before(key)
        if state is None or key in self._latest:
            return state
        kind: Literal["deleted", "expired"] | None = "expired"  # of what was dropped
        if isinstance(state, Entry):
            kind = self._is_gone(key, state)
        if kind is None:
            return state
        self._remove(key, state, kind)
        return None

    def _before(self, key: str) -> Old:
        """Return what was known of a key before its next change: of one that is gone, too, if it has an entry still."""
        latest = self._latest.get(key)
        if latest is not None:
            return latest if type(latest) is Put else None
        looked_up, entry = self._looked_up
        if looked_up != key:
            entry = self._engine.find(key)
        return self._keys.dropped_state(key) if entry is None else entry

    def _change(self, key: str, old: Old, new: Put | Removal) -> None:
        self.changes.append((key, new))
        self._olds.append(old)
        self._latest[key] = new
        self._absent = None

    def committed(self) -> Committed:
        """Return what the group changes."""
        return Committed(self.revision, self.now, self.changes, self._olds, self.removes, self.binds, self.expires)

    def clear_later(self, prefix: str) -> int:
        """Remove all keys with a prefix and return how many there were. That is written down key by key afterwards."""
        if self._keys.clears or self.clear is not None or not self._keys.counts_at_once(prefix):
            raise WaitsError
        touched = [key for key in self._latest if key.startswith(prefix)]
        count = self._keys.count(prefix) - sum(self._keys.live(key, self.now) is not None for key in touched)
        for key in touched:
            if self.find(key) is not None:
                self.remove(key)
                count += 1
        self.revision += 1
        self.clear = Clear(prefix, self.revision)
        return count

    def put_behind(self, clear: Clear) -> int:
        """Return how many keys that a clear of the group concerns were put after it."""
        return sum(
            type(latest) is Put and latest.revision > clear.revision and key.startswith(clear.prefix)
            for key, latest in self._latest.items()
        )

    def forget(self, most: int) -> None:
        """Tell of keys that a compaction dropped because they had expired. Nothing of that need be written."""
        for key in self._keys.dropped(most):
            if key not in self._latest:
                self.remove(key, "expired")
                self._unwritten.add(self.revision)

    @property
    def written_at(self) -> float:
        """The time of the commit; `NEVER` if it does not hold all changes."""
        return NEVER if self._unwritten else self.now

    def written(self) -> list[tuple[str, Put | Removal]]:
        """Return the changes that the file has to hold."""
        return self._of_the_written(self.changes) if self._unwritten else self.changes

    def written_since_start(self) -> list[tuple[str, Put | Removal]]:
        """Return the changes of the operation that the file has to hold."""
        count = self._start[0]
        changes = self.changes[count:] if count else self.changes
        return self._of_the_written(changes) if self._unwritten else changes

    def _of_the_written(self, changes: list[tuple[str, Put | Removal]]) -> list[tuple[str, Put | Removal]]:
        return [change for change in changes if change[1].revision not in self._unwritten]

    def write_down(self, most: int) -> None:
        """Remove the next keys of the oldest clear."""
        clears = self._keys.clears
        if not self._keys.order.ready():
            return  # the next one goes on
        clear, seen = clears.first, 0
        self.reached = clears.reached
        for key in islice(self._keys.order.behind(clear.prefix, clears.reached), most):
            seen += 1
            entry = self._engine.find(key)
            if key not in self._latest and entry is not None and clears.covers(key, entry):
                self.remove(key)
            self.reached = key
        if seen < most:
            self.cleared = clear.revision

    def sweep(self, most: int) -> None:
        """Remove up to `most` keys that have expired."""
        expiry, removed = self._keys.expiry, 0
        for _ in range(2 * most):  # many may be stale
            if removed == most or (due := expiry.due(self.now)) is None:
                return
            expires_at, key = due
            entry = self._engine.find(key)
            if entry is not None and entry.expires_at == expires_at:
                self.swept.append(due)
                if not self._keys.clears.covers(key, entry):  # those are counted out already
                    expiry.note_taken(key, expires_at)
                if key not in self._latest:
                    self.bury(key)
                    removed += 1

    def keys_of(self, owner: Owner) -> list[str]:
        """Return the keys that are bound to a process, as of the time before the group."""
        return self._keys.owners.keys_of(owner)

    # From one operation to the next.

    def start(self, asker: Asker | None) -> None:
        """Go on to the next operation, which `asker` asks for; None: the store itself."""
        self.asker = asker
        self.started = self.revision
        self._start = len(self.changes), self.reached, self.cleared

    def take_back(self) -> None:
        """Forget what the operation changed."""
        self.revision = self.started
        count, self.reached, self.cleared = self._start
        if len(self.changes) > count:
            del self.changes[count:], self._olds[count:]
            self._latest = dict(self.changes)
            self._unwritten = {revision for revision in self._unwritten if revision <= self.revision}
        if self.clear is not None and self.clear.revision > self.revision:
            self.clear = None


class WaitsError(Exception):
    """The operation can be decided only when the group is written, the file compacted, or a clear written down."""


def not_found(key: str) -> KeyNotFoundError:
    """Return the error for a key that does not exist."""
    return KeyNotFoundError(f"Key {key!r} does not exist, or has expired.", [key])
