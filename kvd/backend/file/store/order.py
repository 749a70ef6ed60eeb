"""The keys in their order: by code points, as Python compares strings. Follows the commits.

It is made when somebody first asks for it, in steps: a million keys in no order take a second. Who never lists, clears
or counts by prefix has neither its memory, 8 bytes a key, nor the three microseconds that each new key takes.
"""

from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from typing import Any

from sortedcontainers import SortedDict, SortedList

from kvd.backend.file.engine.interface import Put
from kvd.backend.file.store.committed import Committed

_LAST = "\U0010ffff"
_SORTED_AT_ONCE, _MERGED_AT_ONCE = 10_000, 3_000
"""Keys that a step sorts or merges: some milliseconds' work."""


class Order:
    """All keys that have an entry, in order. It refers to the index's strings."""

    def __init__(self, keys: Callable[[], list[str]]) -> None:
        """`keys` returns all keys in any order."""
        self._all_keys = keys
        self._keys: SortedList[str] | None = None
        self._making: Iterator[None] | None = None
        self._meanwhile: dict[str, bool] = {}
        """Keys that came (True) or went while the order is being made."""

    def ready(self) -> bool:
        """Tell whether there is an order. If not, go a step further with making it."""
        if self._keys is None:
            if self._making is None:
                self._making = self._make()
            next(self._making, None)
        return self._keys is not None

    def in_order(self) -> list[str] | None:
        """Return all keys in order; None if there is no order yet."""
        return None if self._keys is None else list(self._keys)

    def _make(self) -> Iterator[None]:
        # Whatever is done with a million keys at once takes tenths of a second: to give a list of them back, too.
        keys = self._all_keys()
        runs = []
        while keys:
            runs.append(sorted(keys[-_SORTED_AT_ONCE:]))
            del keys[-_SORTED_AT_ONCE:]
            if keys or len(runs) > 1:
                yield
        made = SortedList(runs[0] if len(runs) == 1 else ())
        if len(runs) > 1:
            merged = merge(*map(_taken, runs))
            while part := list(islice(merged, _MERGED_AT_ONCE)):
                made.update(part)
                yield
        for key, came in self._meanwhile.items():
            if not came:
                made.discard(key)
            elif key not in made:
                made.add(key)
        self._meanwhile.clear()
        self._keys, self._making = made, None

    def follow(self, committed: Committed) -> None:
        """Take over what a commit changed."""
        keys = self._keys
        if keys is None:
            if self._making is not None:
                self._meanwhile.update((key, type(new) is Put) for key, new in committed.news)
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
        if len(added) == 1:
            keys.add(added[0])
        elif added:
            keys.update(added)

    # For when it is ready.

    def behind(self, prefix: str, after: str) -> Iterator[str]:
        """Yield the keys that begin with `prefix` and come after `after`, in order. No commit may come meanwhile."""
        assert self._keys is not None
        for key in self._keys.irange(minimum=max(after, prefix), inclusive=(after < prefix, True)):
            if not key.startswith(prefix):
                return
            yield key

    def count(self, prefix: str) -> int:
        """Return how many keys begin with `prefix`."""
        assert self._keys is not None
        return between(self._keys, prefix, end_of(prefix))


def _taken(keys: list[str]) -> Iterator[str]:
    """Yield all keys of a list, and leave it empty."""
    keys.reverse()
    while keys:
        yield keys.pop()


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
