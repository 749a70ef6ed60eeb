"""py-key-value's interface on kvd: a store for the agent frameworks that take an `AsyncKeyValue`.

>>> async with KvdStore(store="agents") as store:
...     await store.put("plan", {"steps": 3}, collection="tasks", ttl=60)
...     await store.get("plan", collection="tasks")
{'steps': 3}

A key is stored as `kv:COLLECTION:KEY`. See docs/adapters.md.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from kvclient import AsyncClient
from kvclient.adapters.names import fitted, is_digest, is_prefix
from kvclient.client.blocking import DEFAULT_TIMEOUT
from kvclient.contract.errors import (
    AccessDeniedError,
    BatchTooLargeError,
    DaemonUnavailableError,
    DataStoreError,
    InvalidValueError,
    KeyNotFoundError,
    RequestTimeoutError,
    ValueTooLargeError,
)

try:
    from key_value.aio.errors import KeyValueOperationError, SerializationError, StoreConnectionError
    from key_value.aio.errors.store import KeyValueStoreError
    from key_value.aio.stores.base import (
        BaseContextManagerStore,
        BaseDestroyCollectionStore,
        BaseDestroyStore,
        BaseEnumerateCollectionsStore,
        BaseEnumerateKeysStore,
        ManagedEntry,
    )
except ImportError as error:
    raise ImportError(
        "kvclient.adapters.key_value needs py-key-value-aio from 0.4.4 on: pip install 'kvd-store[key-value]'."
    ) from error

_MOST_COLLECTION = 96
"""Characters that a collection's name takes in a key; a longer one is cut, with a digest."""
_MOST_PREFIX = 64


class KvdStore(
    BaseContextManagerStore,
    BaseEnumerateKeysStore,
    BaseEnumerateCollectionsStore,
    BaseDestroyCollectionStore,
    BaseDestroyStore,
):
    """A store of py-key-value whose entries live in a store of kvd, for all processes of the machine.

    `put_many`, `delete_many`, `destroy` and `destroy_collection` are atomic; `put_many` takes as many entries as a
    batch of the daemon, and is refused with more.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        store: str | None = None,
        client: AsyncClient | None = None,
        prefix: str = "kv:",
        default_collection: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        autostart: bool = True,
    ) -> None:
        """Name the daemon as for `AsyncClient`, or give a `client`, which is then not closed with this store.

        Everything is stored behind `prefix`, and `destroy` removes what is. Raises `ValueError` for a prefix that
        cannot be.
        """
        if not prefix or not is_prefix(prefix, _MOST_PREFIX):
            raise ValueError(f"A prefix has 1 to {_MOST_PREFIX} characters, and no control character: {prefix!r}.")
        self._prefix = prefix
        self._owned = client is None
        self._client = client or AsyncClient(endpoint, store=store, timeout=timeout, autostart=autostart)
        super().__init__(
            default_collection=default_collection, client_provided_by_user=client is not None, stable_api=True
        )

    async def _setup(self) -> None:
        if self._owned:
            self._exit_stack.push_async_callback(self._client.close)

    async def _get_managed_entry(self, *, collection: str, key: str) -> ManagedEntry | None:
        with _their_errors():
            try:
                document = await self._client.read(self._name(collection, key))
            except KeyNotFoundError:
                return None
        return self._serialization_adapter.load_dict(document)

    async def _get_managed_entries(self, *, collection: str, keys: Sequence[str]) -> list[ManagedEntry | None]:
        names = [self._name(collection, key) for key in keys]
        with _their_errors():
            found = await self._client.read_many(names)
        return [self._serialization_adapter.load_dict(found[name]) if name in found else None for name in names]

    async def _put_managed_entry(self, *, collection: str, key: str, managed_entry: ManagedEntry) -> None:
        await self._put([self._operation(collection, key, managed_entry, _ttl(managed_entry))])

    async def _put_managed_entries(
        self,
        *,
        collection: str,
        keys: Sequence[str],
        managed_entries: Sequence[ManagedEntry],
        ttl: float | None,
        created_at: datetime,  # noqa: ARG002  # it is in each entry
        expires_at: datetime | None,  # noqa: ARG002  # as well
    ) -> None:
        await self._put(
            [self._operation(collection, key, entry, ttl) for key, entry in zip(keys, managed_entries, strict=True)]
        )

    async def _delete_managed_entry(self, *, key: str, collection: str) -> bool:
        return await self._delete_managed_entries(keys=[key], collection=collection) == 1

    async def _delete_managed_entries(self, *, keys: Sequence[str], collection: str) -> int:
        with _their_errors():
            return len(await self._client.delete_many([self._name(collection, key) for key in keys]))

    async def _get_collection_keys(self, *, collection: str, limit: int | None = None) -> list[str]:
        start = self._start(collection)
        with _their_errors():
            keys = [
                await self._told(name, "key") if is_digest(name) else name.removeprefix(start)
                async for name in self._client.list(start, limit=limit)
            ]
        return [key for key in keys if key is not None]

    async def _get_collection_names(self, *, limit: int | None = None) -> list[str]:
        names: list[str] = []
        after = ""
        with _their_errors():
            while limit is None or len(names) < limit:
                first = [name async for name in self._client.list(self._prefix, after=after, limit=1)]
                if not first:
                    break
                written = first[0].removeprefix(self._prefix).partition(":")[0]
                name = await self._told(first[0], "collection") if is_digest(written) else _unescaped(written)
                names += [] if name is None else [name]
                after = f"{self._prefix}{written};"  # what follows on ":"
        return names

    async def _delete_collection(self, *, collection: str) -> bool:
        with _their_errors():
            return await self._client.clear(self._start(collection)) > 0

    async def _delete_store(self) -> bool:
        with _their_errors():
            await self._client.clear(self._prefix)
        return True

    async def _put(self, operations: list[dict[str, Any]]) -> None:
        if operations:
            with _their_errors():
                await self._client.batch(operations)

    def _operation(self, collection: str, key: str, entry: ManagedEntry, ttl: float | None) -> dict[str, Any]:
        """Return the change that stores an entry, as it is on the wire."""
        document = self._serialization_adapter.dump_dict(entry, key=key, collection=collection)
        return {"op": "put", "key": self._name(collection, key), "value": document, "ttl": ttl}

    async def _told(self, name: str, field: str) -> str | None:
        """Return the key or the collection that an entry says it has; None if it is gone meanwhile."""
        try:
            said: str = (await self._client.read(name))[field]
        except KeyNotFoundError:
            return None
        return said

    def _start(self, collection: str) -> str:
        """Return how the names of a collection's keys begin."""
        return f"{self._prefix}{fitted(_escaped(collection), _MOST_COLLECTION)}:"

    def _name(self, collection: str, key: str) -> str:
        return fitted(self._start(collection) + key)


def _escaped(collection: str) -> str:
    """Return a collection's name without the colon that ends it in a key."""
    return collection.replace("%", "%25").replace(":", "%3A")


def _unescaped(written: str) -> str:
    return written.replace("%3A", ":").replace("%25", "%")


def _ttl(entry: ManagedEntry) -> float | None:
    """Return the seconds that an entry has left, and be it only a moment."""
    left: float | None = entry.ttl
    return None if left is None else max(left, 0.001)


@contextmanager
def _their_errors() -> Iterator[None]:
    """Raise what goes wrong as the error that users of py-key-value expect."""
    try:
        yield
    except InvalidValueError as error:
        raise SerializationError(error.message) from error
    except (DaemonUnavailableError, RequestTimeoutError, AccessDeniedError) as error:
        raise StoreConnectionError(error.message) from error
    except (ValueTooLargeError, BatchTooLargeError) as error:
        raise KeyValueOperationError(error.message) from error
    except DataStoreError as error:
        raise KeyValueStoreError(error.message) from error
