"""Every error that a user of kvd can meet, grouped by when it occurs.

Each class is raised the same by `Client`, `AsyncClient` and `LocalDataStore`, and travels over the wire by its class
name. Errors that have an equivalent in the standard library are also that, so `except KeyError` works where one would
expect it to.
"""

from collections.abc import Iterable

__all__ = [
    "AccessDeniedError",
    "BatchTooLargeError",
    "DaemonUnavailableError",
    "DataStoreError",
    "InvalidKeyError",
    "InvalidTTLError",
    "InvalidValueError",
    "KeyExistsError",
    "KeyNotFoundError",
    "KeyTooLongError",
    "LockHeldError",
    "RequestError",
    "RequestTimeoutError",
    "RevisionGoneError",
    "RevisionMismatchError",
    "StoreCorruptError",
    "StoreFullError",
    "StoreLockedError",
    "TooManyWatchersError",
    "ValueTooLargeError",
]


class DataStoreError(Exception):
    """Base of all errors of kvd. `str(error)` is one line for a person; `error.keys` names the keys it is about.

    `error.index` tells which operation of a `batch` was refused, counted from 0; it is None for anything else.
    """

    def __init__(self, message: str, keys: Iterable[str] = (), index: int | None = None) -> None:
        super().__init__(message)
        self.message: str = message
        self.keys: tuple[str, ...] = tuple(keys)
        self.index: int | None = index

    def __str__(self) -> str:  # KeyError would show the message in quotes
        return self.message

    def __reduce__(self) -> tuple[type["DataStoreError"], tuple[str, tuple[str, ...], int | None]]:
        return type(self), (self.message, self.keys, self.index)


# What the store holds speaks against the operation.


class KeyExistsError(DataStoreError):
    """A key to be created exists and has not expired."""


class KeyNotFoundError(DataStoreError, KeyError):
    """The key does not exist, or has expired."""


class RevisionMismatchError(DataStoreError):
    """The key is not at the revision that the operation was conditioned on."""


class RevisionGoneError(DataStoreError):
    """The changes since the revision that a watch asked for are no longer all kept. The message says which are."""


class LockHeldError(DataStoreError, TimeoutError):
    """Others held the lock for as long as the caller would wait for it. The message names them."""


# What was asked for is invalid, whatever the store holds.


class InvalidKeyError(DataStoreError, ValueError):
    """A key is empty, not a string, or holds a control character or a lone surrogate."""


class KeyTooLongError(DataStoreError, ValueError):
    """A key has more characters than `max_key_length`."""


class InvalidValueError(DataStoreError, ValueError):
    """A value is not JSON: NaN, an infinity, a lone surrogate, a dict key that is no string, or an object that JSON has
    no form for. The message says where in the value, and what to store instead.
    """


class ValueTooLargeError(DataStoreError, ValueError):
    """A value, as compact UTF-8 JSON, has more bytes than `max_value_bytes`."""


class InvalidTTLError(DataStoreError, ValueError):
    """A TTL is not a finite number of seconds above 0."""


class BatchTooLargeError(DataStoreError):
    """A batch has more operations than `max_batch`."""


class TooManyWatchersError(DataStoreError):
    """As many watches wait as the daemon allows (setting max_watchers)."""


class RequestError(DataStoreError):
    """The daemon received something that is no request: not JSON, an unknown operation, a missing or extra field, or
    larger than any request can be.
    """


# The data file does not allow it.


class StoreFullError(DataStoreError):
    """The data file would pass `max_file_bytes`, or the disk is full. Nothing was changed; reads and deletes work."""


class StoreLockedError(DataStoreError):
    """Another process has the data file, or the endpoint, open."""


class StoreCorruptError(DataStoreError):
    """The data file is damaged, is no data file, or was changed by another program while it was open."""


# The daemon could not be asked.


class AccessDeniedError(DataStoreError, PermissionError):
    """The asker has no right to what was asked for: the message names the key and the right. Or, for a client: who
    listens on the endpoint is not to be trusted, or others could put something else in its place. Nothing was sent.
    """


class DaemonUnavailableError(DataStoreError, ConnectionError):
    """No daemon listens on the endpoint and none could be started, or it cannot be connected to. The request was not
    carried out.
    """


class RequestTimeoutError(DataStoreError, TimeoutError):
    """No reply came in time. The message says whether the request may have been carried out."""


def by_name(name: str) -> type[DataStoreError]:
    """Return the error class that a reply names, or `DataStoreError` if a newer daemon sent one unknown here."""
    found = globals().get(name)
    return found if isinstance(found, type) and issubclass(found, DataStoreError) else DataStoreError
