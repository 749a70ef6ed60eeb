"""A mapping: keys with a prefix as a dict that all processes share.

Each method is one operation of the store wherever it can be one, and so atomic. `setdefault` and `popitem` take several
and are safe all the same: they go on until nobody came between.
"""

from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, overload

from kvclient.contract import calls
from kvclient.contract.errors import InvalidKeyError, KeyExistsError, KeyNotFoundError, KeyTooLongError
from kvclient.contract.records import Entry
from kvclient.recipes.steps import Steps, ask, run

if TYPE_CHECKING:
    from kvclient.recipes.face import Recipes

V = TypeVar("V")
D = TypeVar("D")

MISSING: Any = object()
"""The default that is none."""


class StoreMapping(MutableMapping[str, V]):
    """The keys of `store` that begin with `prefix`, by what follows it, as a dict: whatever a dict can do, it can.

    What it holds is in the store, at each moment: nothing is kept here, and what others change shows at once. A value
    that was read is a copy; to change it, store it again: `m["list"] += [1]` does, `m["list"].append(1)` does not.

    Reading and writing one key is one request to the store. Iteration, `items` and `values` ask for a thousand at a
    time, in the order of the keys; a key that exists all the while appears exactly once. `dict(m.items())` and
    `m | {}` copy it so, where `dict(m)` would ask for each key. Setting a key makes it one that never expires.

    Raises `KeyNotFoundError`, which is a `KeyError`, and what the store's methods raise. Can be pickled if the store
    can.

    >>> config = store.mapping("config:")
    >>> config["colour"] = "red"
    >>> config.update(size=3, depth=4)
    >>> dict(config.items())
    {'colour': 'red', 'depth': 4, 'size': 3}
    >>> store.read("config:colour")
    'red'
    """

    def __init__(self, store: "Recipes", prefix: str = "", as_: Any = None) -> None:
        """With `as_`, values come as objects of that type; see `Client.read`."""
        self._store = store.prefix(prefix)
        self._as = as_

    # One key.

    def __getitem__(self, key: str) -> V:
        value: V = self._store.read(key, as_=self._as)
        return value

    def __setitem__(self, key: str, value: V) -> None:
        self._store.put(key, value)

    def __delitem__(self, key: str) -> None:
        self._store.delete(key)

    def __contains__(self, key: object) -> bool:
        try:
            return self._store.exists(key)  # type: ignore[arg-type]
        except (InvalidKeyError, KeyTooLongError):  # what cannot be a key is none
            return False

    @overload
    def pop(self, key: str) -> V: ...
    @overload
    def pop(self, key: str, default: V) -> V: ...
    @overload
    def pop(self, key: str, default: D) -> V | D: ...
    def pop(self, key: str, default: Any = MISSING) -> Any:
        """Remove `key` and return its value, or `default` if there is none. Atomic: of several callers one gets it.

        >>> config = store.mapping("config:")
        >>> config.pop("colour", "none")
        'none'
        """
        try:
            return self._store.pop(key, as_=self._as)
        except KeyNotFoundError:
            if default is MISSING:
                raise
            return default

    def popitem(self) -> tuple[str, V]:
        """Remove the first item, in the order of keys, and return it. Atomic: of several callers one gets it.

        Raises `KeyNotFoundError` if there is none.

        >>> todo = store.mapping("todo:")
        >>> todo["b"] = todo["a"] = "write"
        >>> todo.popitem()
        ('a', 'write')
        """
        return run(self._store._call, popitem(self._as))  # noqa: SLF001

    def setdefault(self, key: str, default: Any = None) -> V:
        """Return the value of `key`; if there is none, store `default` first. Atomic: all callers get the same value.

        >>> config = store.mapping("config:")
        >>> config.setdefault("colour", "red"), config.setdefault("colour", "blue")
        ('red', 'red')
        """
        value: V = run(self._store._call, setdefault(key, default, self._as))  # noqa: SLF001
        return value

    # All keys.

    def __iter__(self) -> Iterator[str]:
        return self._store.list()

    def __len__(self) -> int:
        return self._store.count()

    def items(self) -> ItemsView[str, V]:
        """Return a live view of keys and values; iterating reads a thousand at a time.

        >>> config = store.mapping("config:")
        >>> config["colour"] = "red"
        >>> list(config.items())
        [('colour', 'red')]
        """
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """Return a live view of the values; iterating reads a thousand at a time.

        >>> config = store.mapping("config:")
        >>> config["colour"] = "red"
        >>> list(config.values())
        ['red']
        """
        return _Values(self)

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Set all keys of a mapping, or of pairs, and of named arguments. One batch: all of it or nothing.

        Raises `BatchTooLargeError` for more than `max_batch` keys, 10,000 unless set otherwise.

        >>> config = store.mapping("config:")
        >>> config.update({"colour": "red"}, size=3)
        """
        if operations := puts(other, more):
            self._store.batch(operations)

    def clear(self) -> None:
        """Remove all keys. Atomic. The key that is the prefix itself goes as well.

        >>> store.mapping("config:").clear()
        """
        self._store.clear()

    def copy(self) -> dict[str, V]:
        """Return a dict of all that there is now, page by page.

        >>> store.mapping("config:").copy()
        {}
        """
        return dict(self.items())

    def __or__(self, other: Any) -> dict[str, Any]:
        return self.copy() | dict(other) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Any) -> dict[str, Any]:
        return dict(other) | self.copy() if isinstance(other, Mapping) else NotImplemented

    def __ior__(self, other: Any) -> "StoreMapping[V]":
        self.update(other)
        return self

    def _entries(self) -> Iterator[Entry[V]]:
        return self._store.entries(as_=self._as)

    def __repr__(self) -> str:
        return f"<StoreMapping on {self._store!r}>"


class _Items(ItemsView[str, V]):
    _mapping: StoreMapping[V]

    def __iter__(self) -> Iterator[tuple[str, V]]:
        entries = self._mapping._entries()  # noqa: SLF001  # its view
        return ((entry.key, entry.value) for entry in entries)


class _Values(ValuesView[V]):
    _mapping: StoreMapping[V]

    def __iter__(self) -> Iterator[V]:
        return (value for _, value in self._mapping.items())

    def __contains__(self, value: object) -> bool:
        return any(each is value or each == value for each in self)


# What the two kinds of mapping have in common.


def setdefault(key: str, default: Any, as_: Any) -> Steps[Any]:
    """Return a key's value, after storing `default` if it has none."""
    while True:
        try:
            return (yield from ask(calls.typed(calls.read(key), as_, key)))
        except KeyNotFoundError:
            pass
        with suppress(KeyExistsError):
            yield from ask(calls.create(key, default))


def popitem(as_: Any) -> Steps[tuple[str, Any]]:
    """Remove the first key there is; return it with its value."""
    while True:
        page = yield from ask(calls.page(limit=1))
        if not page.entries:
            raise KeyNotFoundError("There is nothing to pop: the mapping is empty.")
        key = page.entries[0].key
        try:
            return key, (yield from ask(calls.typed(calls.pop(key), as_, key)))
        except KeyNotFoundError:  # somebody was faster
            pass


def puts(other: Any, more: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the operations that set what `dict.update` would set."""
    pairs: Iterable[tuple[str, Any]] = dict(other.items() if isinstance(other, Mapping) else other, **more).items()
    return [{"op": "put", "key": key, "value": value} for key, value in pairs]
