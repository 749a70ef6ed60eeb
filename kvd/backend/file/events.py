"""A commit as events for those who watch."""

from collections.abc import Callable

from kvd.backend.feed import Event
from kvd.backend.file.engine.interface import Entry, Put
from kvd.backend.file.store.committed import Committed, Old


def events(committed: Committed, read: Callable[[Entry], bytes]) -> list[Event]:
    """Return an event a change; `read` reads the value of an entry that was there before."""
    told = []
    for key, old, new in committed.changes:
        previous = _value(old, read)
        if isinstance(new, Put):
            kind = "created" if old is None else "updated"
            told.append(Event(kind, key, new.value, previous, new.revision, committed.time))
        else:
            told.append(Event(new.kind, key, None, previous, new.revision, committed.time))
    return told


def _value(old: Old, read: Callable[[Entry], bytes]) -> bytes | None:
    if old is None:
        return None
    return old.value if isinstance(old, Put) else read(old)
