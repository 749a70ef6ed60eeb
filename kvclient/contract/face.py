"""The operations as methods: what `Client` and `LocalDataStore` have in common, which is all but how a call is made."""

import builtins
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, overload

from kvclient.contract import calls
from kvclient.contract.calls import Call
from kvclient.contract.listing import Listing, entries
from kvclient.contract.records import Entry
from kvclient.contract.watching import Watch

T = TypeVar("T")


class Face(ABC):
    """A key-value store.

    Keys are non-empty strings without control characters, of at most `max_key_length` characters; values are any JSON
    value of at most `max_value_bytes` bytes as compact JSON. Pydantic models, dataclasses, dates and times, UUID,
    Decimal, Path and enums are stored as the JSON that pydantic makes of them, and come back with `as_`. Every method
    raises `InvalidKeyError`, `KeyTooLongError`, `InvalidValueError`, `ValueTooLargeError` or `InvalidTTLError` for
    arguments that are not so, and every change `StoreFullError` where there is no room for it. All of these are
    `DataStoreError`, and then nothing was changed.

    A TTL is a number of seconds above 0 and counts from the commit; None means that the key never expires. A *revision*
    is the number of a change: it rises by one with each. Every change is atomic: all of it or nothing, also across a
    crash. With the daemon's `sync=always` it is on the disk when the method returns.
    """

    @abstractmethod
    def _call(self, call: Call[T]) -> T:
        """Have a call carried out: return what its reply comes to, or raise the error that it tells of."""

    # One key.

    def create(self, key: str, value: Any, ttl: float | None = None, *, ephemeral: bool | int = False) -> int:
        """Store `value` under a new `key`. Atomic.

        `ttl` is in seconds. With `ephemeral` the key lives as long as this process, or as the process with that pid,
        which has to be one of the same user: the kernel tells when it ends, and the key is gone at once.

        Returns the store's revision after it. Raises `KeyExistsError` if the key exists, and `InvalidValueError` if the
        process for `ephemeral` cannot be followed from where the store is.

        >>> store.create("key1", {"name": "value1"}, ttl=5)
        42
        """
        return self._call(calls.create(key, value, ttl, ephemeral=ephemeral))

    @overload
    def read(self, key: str) -> Any: ...
    @overload
    def read(self, key: str, *, as_: type[T]) -> T: ...
    @overload
    def read(self, key: str, *, as_: Any) -> Any: ...
    def read(self, key: str, *, as_: Any = None) -> Any:
        """Return the value of `key`.

        With `as_`, as an object of that type: a pydantic model, a dataclass, `list[int]`, anything that pydantic can
        make of JSON.

        Raises `KeyNotFoundError` if the key does not exist or has expired, and `InvalidValueError` if its value does
        not fit `as_`.

        >>> store.put("key1", {"name": "value1"})
        42
        >>> store.read("key1")
        {'name': 'value1'}
        >>> from datetime import date
        >>> store.put("day", date(2026, 1, 31))
        43
        >>> store.read("day", as_=date)
        datetime.date(2026, 1, 31)
        """
        return self._call(calls.typed(calls.read(key), as_, key))

    @overload
    def entry(self, key: str) -> Entry: ...
    @overload
    def entry(self, key: str, *, as_: type[T]) -> Entry[T]: ...
    @overload
    def entry(self, key: str, *, as_: Any) -> Entry: ...
    def entry(self, key: str, *, as_: Any = None) -> Any:
        """Return `key` with its value, its revision, when it expires (Unix seconds or None), and the process that it is
        bound to (or None). `as_`: see `read`. Raises `KeyNotFoundError`, with `as_` `InvalidValueError`.

        >>> store.put("key1", "value1")
        42
        >>> store.entry("key1")
        Entry(key='key1', value='value1', revision=42, expires_at=None, owner=None)
        """
        return self._call(calls.typed(calls.entry(key), as_, key))

    def put(
        self,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        keep_ttl: bool = False,
        if_revision: int | None = None,
        ephemeral: bool | int = False,
    ) -> int:
        """Create `key` or replace its value. Atomic.

        Without `ttl`, in seconds, a TTL that the key had is cleared, unless `keep_ttl`. With `if_revision` nothing
        is done unless the key is at that revision; 0: unless it does not exist. `ephemeral`: see `create`.

        Returns the store's revision after it, which is now the key's. Raises `RevisionMismatchError`, which names the
        revision asked for and the one found.

        >>> store.put("key1", {"name": "value1"})
        42
        >>> before = store.entry("key1")
        >>> store.put("key1", {**before.value, "seen": True}, if_revision=before.revision)  # or somebody was faster
        43
        """
        return self._call(calls.put(key, value, ttl, keep_ttl=keep_ttl, if_revision=if_revision, ephemeral=ephemeral))

    def update(
        self,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        keep_ttl: bool = False,
        if_revision: int | None = None,
        ephemeral: bool | int = False,
    ) -> int:
        """Replace the value of a `key` that exists; else as `put`. Atomic.

        Returns the store's revision after it. Raises `KeyNotFoundError`, with `if_revision` `RevisionMismatchError`.

        >>> store.update("key1", 2)
        Traceback (most recent call last):
        kvclient.contract.errors.KeyNotFoundError: Key 'key1' does not exist, or has expired.
        """
        return self._call(
            calls.update(key, value, ttl, keep_ttl=keep_ttl, if_revision=if_revision, ephemeral=ephemeral)
        )

    def delete(self, key: str, *, if_revision: int | None = None) -> int:
        """Remove `key`, with `if_revision` only if it is at that revision. Atomic.

        Returns the store's revision after it. Raises `KeyNotFoundError`, with `if_revision` `RevisionMismatchError`.

        >>> store.create("key1", 1)
        42
        >>> store.delete("key1")
        43
        """
        return self._call(calls.delete(key, if_revision=if_revision))

    @overload
    def pop(self, key: str, *, if_revision: int | None = None) -> Any: ...
    @overload
    def pop(self, key: str, *, if_revision: int | None = None, as_: type[T]) -> T: ...
    @overload
    def pop(self, key: str, *, if_revision: int | None = None, as_: Any) -> Any: ...
    def pop(self, key: str, *, if_revision: int | None = None, as_: Any = None) -> Any:
        """Remove `key` and return the value that it had. Atomic: of several callers one gets it. Raises as `delete`.

        With `as_` as an object of that type; see `read`. If the value does not fit, the key is removed all the same,
        and the `InvalidValueError` says what the value was.

        >>> store.create("key1", {"name": "value1"})
        42
        >>> store.pop("key1")
        {'name': 'value1'}
        """
        return self._call(calls.typed(calls.pop(key, if_revision=if_revision), as_, key))

    def increment(self, key: str, by: float = 1, *, initial: float = 0, ttl: float | None = None) -> Any:
        """Add `by` to the number that `key` has, and return the sum: an int if both are. Atomic: nobody's is lost.

        A key that does not exist gets `initial + by`, and expires after `ttl` seconds if that is given; a key that
        exists keeps its TTL. Raises `InvalidValueError` if its value is no number.

        >>> store.increment("visits")
        1
        """
        return self._call(calls.increment(key, by, initial=initial, ttl=ttl))

    def exists(self, key: str) -> bool:
        """Tell whether `key` exists and has not expired.

        >>> store.exists("key1")
        False
        """
        return self._call(calls.exists(key))

    def expire(self, key: str, ttl: float | None) -> int:
        """Let `key` expire `ttl` seconds from now, or with None never. Atomic.

        Returns the store's revision after it. Raises `KeyNotFoundError`.

        >>> store.create("key1", 1)
        42
        >>> store.expire("key1", 60)
        43
        """
        return self._call(calls.expire(key, ttl))

    def persist(self, key: str) -> int:
        """Let `key` never expire: `expire(key, None)`. Atomic. Returns and raises as that.

        >>> store.create("key1", 1, ttl=60)
        42
        >>> store.persist("key1")
        43
        """
        return self._call(calls.expire(key, None))

    # Many keys.

    def count(self, prefix: str = "") -> int:
        """Return how many keys begin with `prefix`, at one moment.

        >>> store.batch_create({"job:1": "waiting", "job:2": "done", "other": 1})
        42
        >>> store.count("job:")
        2
        """
        return self._call(calls.count(prefix))

    def list(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """Iterate over the keys that begin with `prefix`, in the order of their code points.

        Only those behind the key `after`, and at most `limit`. Asks for a thousand at a time, when they are needed. A
        key that exists all the while appears exactly once; one that comes or goes meanwhile may appear or not.

        >>> store.batch_create({"job:1": "waiting", "job:2": "done", "other": 1})
        42
        >>> list(store.list("job:"))
        ['job:1', 'job:2']
        """
        return (entry.key for entry in entries(self._call, Listing(prefix, after, limit, values=False)))

    @overload
    def entries(
        self, prefix: str = "", *, after: str = "", limit: int | None = None, values: bool = True
    ) -> Iterator[Entry]: ...
    @overload
    def entries(
        self, prefix: str = "", *, after: str = "", limit: int | None = None, values: bool = True, as_: type[T]
    ) -> Iterator[Entry[T]]: ...
    @overload
    def entries(
        self, prefix: str = "", *, after: str = "", limit: int | None = None, values: bool = True, as_: Any
    ) -> Iterator[Entry]: ...
    def entries(
        self, prefix: str = "", *, after: str = "", limit: int | None = None, values: bool = True, as_: Any = None
    ) -> Iterator[Entry[Any]]:
        """Iterate as `list` does, over keys with all that is known of them; without `values`, all values are None.

        `as_`: see `read`.

        >>> store.batch_create({"job:1": "waiting", "job:2": "done", "other": 1})
        42
        >>> {entry.key: entry.value for entry in store.entries("job:")}
        {'job:1': 'waiting', 'job:2': 'done'}
        """
        return entries(self._call, Listing(prefix, after, limit, values=values, as_=as_))

    @overload
    def read_many(self, keys: Iterable[str]) -> dict[str, Any]: ...
    @overload
    def read_many(self, keys: Iterable[str], *, as_: type[T]) -> dict[str, T]: ...
    @overload
    def read_many(self, keys: Iterable[str], *, as_: Any) -> dict[str, Any]: ...
    def read_many(self, keys: Iterable[str], *, as_: Any = None) -> dict[str, Any]:
        """Return the values of those `keys` that exist, by key, all at one moment.

        `as_`: see `read`. Raises `BatchTooLargeError` if the values are more than a reply can hold.

        >>> store.batch_create({"job:1": "waiting", "job:2": "done"})
        42
        >>> store.read_many(["job:1", "job:7"])
        {'job:1': 'waiting'}
        """
        return self._call(calls.typed(calls.read_many(keys), as_))

    def delete_many(self, keys: Iterable[str]) -> builtins.list[str]:
        """Remove those `keys` that exist, and return which those were. Atomic.

        >>> store.batch_create({"job:1": "waiting", "job:2": "done"})
        42
        >>> store.delete_many(["job:1", "job:7"])
        ['job:1']
        """
        return self._call(calls.delete_many(keys))

    def batch_create(self, items: Mapping[str, Any], ttl: float | None = None) -> int:
        """Create all `items` (key → value) or none, in one commit; all expire at the same instant.

        Returns the store's revision after it. Raises as `create`, with all offending keys in the error's `keys`, and
        `BatchTooLargeError` for more than `max_batch` items.

        >>> store.batch_create({"key2": {"name": "value2"}, "key3": {"name": "value3"}}, ttl=10)
        42
        """
        return self._call(calls.batch_create(items, ttl))

    def batch(self, operations: Iterable[Mapping[str, Any]]) -> builtins.list[dict[str, Any]]:
        """Carry out all `operations` or none. Atomic: each sees what those before it did, others see all or nothing.

        An operation is what it is on the wire: a dict with `"op"` (create, put, update, delete, increment, pop or
        expire) and the arguments of the method of that name. Returns what each comes to, as the wire tells it: a dict
        with `"revision"`, and with `"value"` for increment and pop.

        Raises the error of the first that is refused, which its `index` tells, counted from 0; `BatchTooLargeError` for
        more than `max_batch` operations; `RequestError` for what is no operation.

        >>> store.create("job:1", "waiting")
        42
        >>> store.batch([{"op": "pop", "key": "job:1"}, {"op": "increment", "key": "done"}])
        [{'revision': 43, 'value': 'waiting'}, {'revision': 44, 'value': 1}]
        """
        return self._call(calls.batch(operations))

    def clear(self, prefix: str = "") -> int:
        """Remove all keys that begin with `prefix`, or all there are, and return how many there were. Atomic.

        >>> store.batch_create({"job:1": "waiting", "job:2": "done", "other": 1})
        42
        >>> store.clear("job:")
        2
        """
        return self._call(calls.clear(prefix))

    def watch(self, prefix: str = "", *, after: int | None = None) -> Watch:
        """Iterate over the changes of keys that begin with `prefix`, as they happen; `next` waits for one.

        All changes after this call are told, once and in order, also those that come before the first `next`. With
        `after`, all since that revision, such as an event's or an entry's. Restarts of the daemon make no difference.

        The iterator can be closed, and used as a context manager. Raises `RevisionGoneError`, here or later, if changes
        since then are no longer all kept: read what there is, and watch from now on.

        >>> with store.watch("job:") as events:
        ...     revision = store.put("job:7", "waiting")
        ...     for event in events:
        ...         print(event.kind, event.key, event.value)
        ...         break
        created job:7 waiting
        """
        return Watch(self._call, prefix, after)

    # The store.

    def stats(self) -> dict[str, Any]:
        """Return what was done since the daemon started, and how much there is now: operations, hits, misses, commits,
        keys, bytes. See `kvclient.contract.operations.stats`.

        >>> store.stats()["keys"]
        0
        """
        return self._call(calls.stats())

    def status(self) -> dict[str, Any]:
        """Return who serves the store, from which file, with which limits. See
        `kvclient.contract.operations.status`.

        >>> store.status()["limits"]["max_key_length"]
        256
        """
        return self._call(calls.status())

    def ping(self) -> str | None:
        """Return if the store answers: None, or why it refuses all changes, as after others changed its file.

        >>> store.ping()
        """
        return self._call(calls.ping())

    def compact(self) -> None:
        """Start to free the space of what is gone, beside service; `status` tells whether it still runs.

        >>> store.compact()
        """
        return self._call(calls.compact())
