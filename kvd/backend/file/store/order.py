"""The keys in their order: by code points, as Python compares strings. Follows the commits."""

from collections.abc import Iterable, Iterator
from typing import Any

from sortedcontainers import SortedDict, SortedList

from kvd.backend.file.engine.interface import Put
from kvd.backend.file.store.committed import Committed

_LAST = "\U0010ffff"


class Order:
    """All keys that have an entry, in order. It refers to the index's strings and takes 8 bytes a key more."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys: SortedList[str] = SortedList(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def follow(self, committed: Committed) -> None:
        """Take over what a commit changed."""
        keys = self._keys
        if len(committed.changes) == 1:
            ((key, old, new),) = committed.changes
            if type(new) is Put:
                if old is None:
                    keys.add(key)
            elif old is not None:
                keys.remove(key)
            return
        added: list[str] = []
        for key, old, new in committed.changes:
            if type(new) is Put:
                if old is None:
                    added.append(key)
            elif old is not None:
                if added:  # it may be one of them
                    keys.update(added)
                    added = []
                keys.remove(key)
        keys.update(added)

    def behind(self, prefix: str, after: str) -> Iterator[str]:
        """Yield the keys that begin with `prefix` and come after `after`, in order. No commit may come meanwhile."""
        first = max(after, prefix)
        for key in self._keys.irange(minimum=first, inclusive=(first is prefix, True)):
            if not key.startswith(prefix):
                return
            yield key

    def count(self, prefix: str) -> int:
        """Return how many keys begin with `prefix`."""
        return between(self._keys, prefix, end_of(prefix))


def between(keys: "SortedList[str] | SortedDict[str, Any]", first: str, end: str | None) -> int:
    """Return how many of the keys lie from `first` to before `end` (None: to the last)."""
    return (len(keys) if end is None else keys.bisect_left(end)) - keys.bisect_left(first)


def end_of(prefix: str) -> str | None:
    """Return the least string behind all that begin with `prefix`; None if there is none."""
    stem = prefix.rstrip(_LAST)
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if following == 0xD800 else following)  # no key has surrogates
