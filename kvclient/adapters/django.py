"""Django's cache framework on kvd.

    CACHES = {
        "default": {
            "BACKEND": "kvclient.adapters.django.KvdCache",
            "LOCATION": "cache",                  # a store's name, or an endpoint; "" is the default store
            "OPTIONS": {"pickle": True},          # see kvclient.adapters.values
        }
    }

A key is stored as `django:KEY_PREFIX:VERSION:KEY`. See docs/adapters.md.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from kvclient import Client
from kvclient.adapters.batches import in_parts
from kvclient.adapters.names import MOST_KEPT, fitted, is_prefix
from kvclient.adapters.values import Values
from kvclient.client.blocking import DEFAULT_TIMEOUT as CALL_SECONDS
from kvclient.contract.errors import DataStoreError, KeyExistsError, KeyNotFoundError, RevisionMismatchError

try:
    from asgiref.sync import sync_to_async
    from django.core.cache.backends.base import (
        DEFAULT_TIMEOUT,
        BaseCache,
        InvalidCacheBackendError,
        default_key_func,
    )
except ImportError as error:
    raise ImportError("kvclient.adapters.django needs Django: pip install 'kvd-store[django]'.") from error

_NAMESPACE = "django:"
_OPTIONS = {"autostart", "pickle", "timeout"}
# Django makes a cache anew for each thread and each asynchronous context; connections are to outlive these.
_clients: dict[tuple[str, float, bool], Client] = {}


class KvdCache(BaseCache):
    """A cache of Django whose values live in a store of kvd, for all processes of the machine.

    Each method is one request and atomic, except `incr` and `decr`, which take two and are atomic all the same, and
    `set_many`, `get_many` and `delete_many` where there is too much for one request. A value expires on time; none is
    removed before that (`MAX_ENTRIES` is refused).
    """

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        """Raises `InvalidCacheBackendError`, which is an `ImproperlyConfigured`, for settings that cannot be."""
        super().__init__(params)
        options = dict(params.get("OPTIONS") or {})
        if unknown := options.keys() - _OPTIONS:
            raise InvalidCacheBackendError(
                f"KvdCache has no option {', '.join(sorted(map(repr, unknown)))}; its OPTIONS are "
                f"{', '.join(sorted(_OPTIONS))}. Values are removed when they expire, and no others are."
            )
        if not isinstance(location, str):
            raise InvalidCacheBackendError(f"LOCATION is one store's name or endpoint, not {location!r}.")
        self._prefix = f"{_NAMESPACE}{self.key_prefix}:"
        if not is_prefix(self._prefix):
            raise InvalidCacheBackendError(
                f"KEY_PREFIX is too long (at most {MOST_KEPT - len(_NAMESPACE) - 1} characters), or has a control "
                f"character: {self.key_prefix!r}"
            )
        self._values = Values('OPTIONS = {"pickle": True}', pickles=bool(options.get("pickle", False)))
        self._store = _client(location, options.get("timeout", CALL_SECONDS), bool(options.get("autostart", True)))

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> float | None:
        """Return a timeout in seconds as a TTL; 0 if it has passed already, None if it never does."""
        seconds = self.default_timeout if timeout == DEFAULT_TIMEOUT else timeout
        return None if seconds is None else max(0.0, float(seconds))

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Store a value if the key does not exist. Returns whether it did not."""
        name, ttl = self._name(key, version), self.get_backend_timeout(timeout)
        stored = self._values.stored(value, name)
        if ttl == 0:
            return not self._store.exists(name)
        try:
            with self._values.explained():
                self._store.create(name, stored, ttl)
        except KeyExistsError:
            return False
        return True

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """Return a key's value, or `default`."""
        name = self._name(key, version)
        try:
            return self._values.loaded(self._store.read(name), name)
        except KeyNotFoundError:
            return default

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Store a value. Raises `InvalidValueError` if it is not JSON and the option `pickle` is not set."""
        name, ttl = self._name(key, version), self.get_backend_timeout(timeout)
        stored = self._values.stored(value, name)
        if ttl == 0:
            self._store.delete_many([name])
            return
        with self._values.explained():
            self._store.put(name, stored, ttl)

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Let a key expire `timeout` seconds from now. Returns whether it exists."""
        name, ttl = self._name(key, version), self.get_backend_timeout(timeout)
        try:
            if ttl == 0:
                self._store.delete(name)
            else:
                self._store.expire(name, ttl)
        except KeyNotFoundError:
            return False
        return True

    def delete(self, key: str, version: int | None = None) -> bool:
        """Remove a key. Returns whether it existed."""
        return bool(self._store.delete_many([self._name(key, version)]))

    def has_key(self, key: str, version: int | None = None) -> bool:
        """Tell whether a key exists, without reading its value."""
        return self._store.exists(self._name(key, version))

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Add to a number, whose timeout stays. Raises `ValueError` if the key does not exist.

        Atomic: of several who add at once nobody's addition is lost. Who was overtaken reads the number again.
        """
        name = self._name(key, version)
        while True:
            try:
                entry = self._store.entry(name)
            except KeyNotFoundError:
                raise ValueError(f"Key {key!r} not found.") from None
            number: int = self._values.loaded(entry.value, name) + delta
            try:
                self._store.put(name, self._values.stored(number, name), keep_ttl=True, if_revision=entry.revision)
            except RevisionMismatchError:
                continue
            return number

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        """Return the values of those keys that exist."""
        names = {self._name(key, version): key for key in keys}
        found = in_parts(self._store.read_many, list(names))
        return {names[name]: self._values.loaded(value, name) for part in found for name, value in part.items()}

    def set_many(
        self, data: Mapping[str, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[str]:
        """Store several values. Returns an empty list: all were stored."""
        ttl = self.get_backend_timeout(timeout)
        if ttl == 0:
            self.delete_many(data, version)
            return []
        values = {self._name(key, version): value for key, value in data.items()}
        puts = [
            {"op": "put", "key": name, "value": self._values.stored(value, name), "ttl": ttl}
            for name, value in values.items()
        ]
        with self._values.explained():
            in_parts(self._store.batch, puts)
        return []

    def delete_many(self, keys: Iterable[str], version: int | None = None) -> None:
        """Remove several keys."""
        in_parts(self._store.delete_many, [self._name(key, version) for key in keys])

    def clear(self) -> None:
        """Remove all keys under this cache's KEY_PREFIX, of all versions, and nothing else in the store. Atomic."""
        self._store.clear(self._prefix)

    # Django's own asynchronous methods take a request for each key, and two for `aincr` that others can come between.

    async def aincr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Add to a number; see `incr`."""
        return await sync_to_async(self.incr)(key, delta, version)

    async def ahas_key(self, key: str, version: int | None = None) -> bool:
        """Tell whether a key exists."""
        return await sync_to_async(self.has_key)(key, version)

    async def aget_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        """Return the values of those keys that exist."""
        return await sync_to_async(self.get_many)(keys, version)

    async def aset_many(
        self,
        data: Mapping[str, Any],
        timeout: Any = DEFAULT_TIMEOUT,  # noqa: ASYNC109  # the keys'
        version: int | None = None,
    ) -> list[str]:
        """Store several values; see `set_many`."""
        return await sync_to_async(self.set_many)(data, timeout, version)

    async def adelete_many(self, keys: Iterable[str], version: int | None = None) -> None:
        """Remove several keys."""
        await sync_to_async(self.delete_many)(keys, version)

    def _name(self, key: str, version: int | None) -> str:
        """Return the name of a key in the store: behind this cache's prefix, whatever KEY_FUNCTION makes of it."""
        made: str = self.make_and_validate_key(key, version=version)
        return fitted((_NAMESPACE if self.key_func is default_key_func else self._prefix) + made)


def _client(location: str, timeout: float, autostart: bool) -> Client:
    """Return the client of this process for a store."""
    named = {"endpoint" if "://" in location else "store": location} if location else {}
    try:
        client = Client(**named, timeout=timeout, autostart=autostart)
    except (DataStoreError, ValueError) as error:
        raise InvalidCacheBackendError(f"The cache cannot be at LOCATION = {location!r}: {error}") from None
    return _clients.setdefault((client.endpoint, timeout, autostart), client)
