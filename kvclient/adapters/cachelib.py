"""cachelib's interface on kvd: for Flask-Caching, Flask-Session, and whoever takes a `cachelib.BaseCache`.

>>> cache = KvdCache(store="cache", key_prefix="shop:", default_timeout=60)
>>> cache.set("basket", ["apples"])
True
>>> cache.get("basket")
['apples']

A key is stored as `KEY_PREFIX KEY`, without a space. See docs/adapters.md.
"""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from kvclient import Client
from kvclient.adapters.batches import in_parts
from kvclient.adapters.names import MOST_KEPT, fitted, is_prefix
from kvclient.adapters.values import Values
from kvclient.client.blocking import DEFAULT_TIMEOUT
from kvclient.contract.errors import KeyExistsError, KeyNotFoundError

try:
    from cachelib.base import BaseCache
except ImportError as error:
    raise ImportError("kvclient.adapters.cachelib needs cachelib: pip install 'kvd-store[cachelib]'.") from error


class KvdCache(BaseCache):
    """A cache of cachelib whose values live in a store of kvd, for all processes of the machine.

    Each method is one request and atomic, except those of many keys where there is too much for one request. Where no
    daemon answers, all raise `DaemonUnavailableError` or `RequestTimeoutError`.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        store: str | None = None,
        default_timeout: int | timedelta = 300,
        key_prefix: str = "cache:",
        pickle: bool = False,
        ignore_delete_many_errors: bool = True,
        timeout: float = DEFAULT_TIMEOUT,
        autostart: bool = True,
    ) -> None:
        """Name the daemon as for `Client`; `timeout`, in seconds, is for its answers.

        `default_timeout` is in seconds, for `set` and its like without one; 0: never. `pickle` allows values that are
        not JSON: see `kvclient.adapters.values`. `key_prefix` is put in front of every key, and `clear` removes what
        begins with it. Raises `ValueError` for a prefix that cannot be.
        """
        super().__init__(_whole_seconds(default_timeout))
        self.ignore_delete_many_errors = ignore_delete_many_errors  # what cannot be deleted is an error here, always
        if not key_prefix or not is_prefix(key_prefix):
            raise ValueError(f"A key_prefix has 1 to {MOST_KEPT} characters, and no control character: {key_prefix!r}.")
        self._prefix = key_prefix
        self._values = Values("pickle=True", pickles=pickle)
        self._store = Client(endpoint, store=store, timeout=timeout, autostart=autostart)

    def get(self, key: str) -> Any:
        """Return a key's value, or None."""
        name = self._name(key)
        try:
            return self._values.loaded(self._store.read(name), name)
        except KeyNotFoundError:
            return None

    def get_many(self, *keys: str) -> list[Any]:
        """Return the keys' values, each None if it does not exist."""
        names = [self._name(key) for key in keys]
        found = {
            name: self._values.loaded(value, name)
            for part in in_parts(self._store.read_many, names)
            for name, value in part.items()
        }
        return [found.get(name) for name in names]

    def set(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        """Store a value. Raises `InvalidValueError` if it is not JSON and `pickle` is not set."""
        name, seconds = self._name(key), self._seconds(timeout)
        stored = self._values.stored(value, name)
        if seconds < 0:  # it has expired
            self._store.delete_many([name])
            return True
        with self._values.explained():
            self._store.put(name, stored, seconds or None)
        return True

    def add(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        """Store a value if the key does not exist. Returns whether it did not."""
        name, seconds = self._name(key), self._seconds(timeout)
        stored = self._values.stored(value, name)
        if seconds < 0:
            return not self._store.exists(name)
        try:
            with self._values.explained():
                self._store.create(name, stored, seconds or None)
        except KeyExistsError:
            return False
        return True

    def set_many(self, mapping: Mapping[str, Any], timeout: int | timedelta | None = None) -> list[str]:
        """Store several values. Returns all their keys."""
        seconds = self._seconds(timeout)
        if seconds < 0:
            return self.delete_many(*mapping)
        names = {self._name(key): value for key, value in mapping.items()}
        puts = [
            {"op": "put", "key": name, "value": self._values.stored(value, name), "ttl": seconds or None}
            for name, value in names.items()
        ]
        with self._values.explained():
            in_parts(self._store.batch, puts)
        return list(mapping)

    def delete(self, key: str) -> bool:
        """Remove a key. Returns whether it existed."""
        return bool(self._store.delete_many([self._name(key)]))

    def delete_many(self, *keys: str) -> list[str]:
        """Remove several keys. Returns all of them: those that did not exist are gone as well."""
        in_parts(self._store.delete_many, [self._name(key) for key in keys])
        return list(keys)

    def has(self, key: str) -> bool:
        """Tell whether a key exists."""
        return self._store.exists(self._name(key))

    def clear(self) -> bool:
        """Remove all keys that begin with `key_prefix`, and nothing else in the store. Atomic."""
        self._store.clear(self._prefix)
        return True

    def inc(self, key: str, delta: int = 1) -> int:
        """Add to a number, which is 0 and expires by default where there is none. Atomic: no addition is lost.

        Raises `InvalidValueError` for what is no number.
        """
        number: int = self._store.increment(self._name(key), delta, ttl=max(0, self._seconds(None)) or None)
        return number

    def dec(self, key: str, delta: int = 1) -> int:
        """Subtract from a number; see `inc`."""
        return self.inc(key, -delta)

    def _name(self, key: str) -> str:
        return fitted(f"{self._prefix}{key}")

    def _seconds(self, timeout: int | timedelta | None) -> int:
        """Return a timeout in seconds: 0 if the value never expires, below 0 if it has expired."""
        return self.default_timeout if timeout is None else _whole_seconds(timeout)


def _whole_seconds(timeout: int | timedelta) -> int:
    """Return a timeout as cachelib counts it from 0.17 on: in whole seconds, a begun one included."""
    return math.ceil(timeout.total_seconds() if isinstance(timeout, timedelta) else timeout)
