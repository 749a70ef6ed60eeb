"""Every operation as a call: a request to be sent, and what its reply comes to. Without I/O and without pydantic.

A call is built and decoded the same by `Client`, by `AsyncClient` and by `LocalDataStore`, so that the faces have
nothing to do but to exchange it. `operations` declares what is encoded here; the tests compare the two, both ways.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from kvclient.contract import results
from kvclient.contract.arguments import (
    ephemeral_field,
    fields_of,
    flag_field,
    key_json,
    keys_json,
    number_field,
    text_field,
    ttl_field,
    whole_field,
)
from kvclient.contract.errors import DataStoreError, RequestError, by_name
from kvclient.contract.records import Entry
from kvclient.contract.results import Page, Told
from kvclient.contract.rules import encode_batch, encode_value

T = TypeVar("T")

# What json.loads comes to, without its looking for the encoding and for white space: half the time for a short reply.
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # typeshed leaves it out


class Call(Generic[T]):
    """A request, and how to read its reply. (With slots, it is made in two thirds of a named tuple's time.)"""

    __slots__ = ("changes", "decode", "request", "wait")

    def __init__(self, request: bytes, changes: bool, decode: Callable[[dict[str, Any]], T], wait: float = 0.0) -> None:
        self.request: bytes = request
        """UTF-8 JSON, without its closing brace where the operation changes something: `identified` closes it."""
        self.changes: bool = changes
        """Whether it changes the store, so that it needs an id: a repetition must not change it again."""
        self.decode: Callable[[dict[str, Any]], T] = decode
        """Turns the fields of the reply into what the caller gets."""
        self.wait: float = wait
        """Seconds for which the daemon may hold back the reply."""

    def result(self, reply: bytes) -> T:
        """Return what `reply` comes to, or raise the error that it tells of."""
        try:
            fields: dict[str, Any] = _scan(reply.decode(), 0)[0]
            if fields["ok"] is True:
                return self.decode(fields)
            error = by_name(fields["error"])(fields["message"], fields["keys"], fields.get("index"))
        except DataStoreError:  # the value is not what the caller wants it as
            raise
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
            raise DataStoreError(f"What answered is no kvd: {reply[:60]!r}") from None
        raise error


def identified(request: bytes, client: str, number: int) -> bytes:
    """Close the request of a change with an id, by which the daemon knows it again."""
    return b'%s,"id":"%s:%d"}' % (request, client.encode(), number)


def closed(call: Call[Any]) -> bytes:
    """Return the whole request of a call that needs no id, because it is carried out in this process."""
    return call.request + b"}" if call.changes else call.request


def typed(call: Call[T], kind: Any, key: str = "") -> Call[T]:
    """Return the call with all values that come of it as a `kind` of object, which pydantic makes of JSON; with None
    the call as it is. `key` is the one whose value it is, where the reply does not name it.
    """
    if kind is None:
        return call
    from kvclient.contract.typed import conversion  # imports pydantic

    convert = conversion(kind, key, removes=call.changes)
    return Call(call.request, call.changes, lambda fields: call.decode(convert(fields)), call.wait)


# One key.


def create(key: str, value: Any, ttl: float | None = None, *, ephemeral: bool | int = False) -> Call[int]:
    """Store a value under a new key."""
    bound = b"" if ephemeral is False else ephemeral_field(ephemeral)
    fields = key_json(key), encode_value(value, key), b"" if ttl is None else ttl_field(ttl), bound
    return Call(b'{"op":"create","key":%s,"value":%s%s%s' % fields, True, results.revision)


def read(key: str) -> Call[Any]:
    """Return a key's value."""
    return Call(b'{"op":"read","key":%s}' % key_json(key), False, results.value)


def entry(key: str) -> Call[Entry]:
    """Return a key and all that is known of it."""
    return Call(read(key).request, False, lambda fields: results.entry({"key": key, **fields}))


def put(
    key: str,
    value: Any,
    ttl: float | None = None,
    *,
    keep_ttl: bool = False,
    if_revision: int | None = None,
    ephemeral: bool | int = False,
) -> Call[int]:
    """Create a key or replace its value."""
    return _replacing(b"put", key, value, ttl, keep_ttl, if_revision, ephemeral)


def update(
    key: str,
    value: Any,
    ttl: float | None = None,
    *,
    keep_ttl: bool = False,
    if_revision: int | None = None,
    ephemeral: bool | int = False,
) -> Call[int]:
    """Replace the value of a key that exists."""
    return _replacing(b"update", key, value, ttl, keep_ttl, if_revision, ephemeral)


def delete(key: str, *, if_revision: int | None = None) -> Call[int]:
    """Remove a key."""
    condition = b"" if if_revision is None else whole_field("if_revision", if_revision)
    return Call(b'{"op":"delete","key":%s%s' % (key_json(key), condition), True, results.revision)


def pop(key: str, *, if_revision: int | None = None) -> Call[Any]:
    """Remove a key and return its value."""
    condition = b"" if if_revision is None else whole_field("if_revision", if_revision)
    return Call(b'{"op":"pop","key":%s%s' % (key_json(key), condition), True, results.value)


def increment(
    key: str, by: float = 1, *, initial: float = 0, ttl: float | None = None
) -> Call[Any]:  # an int where both are
    """Add to a key's number."""
    fields = key_json(key), number_field("by", by, key), number_field("initial", initial, key), ttl_field(ttl)
    return Call(b'{"op":"increment","key":%s%s%s%s' % fields, True, results.value)


def exists(key: str) -> Call[bool]:
    """Tell whether a key exists."""
    return Call(b'{"op":"exists","key":%s}' % key_json(key), False, results.exists)


def expire(key: str, ttl: float | None) -> Call[int]:
    """Let a key expire, or with None never."""
    seconds = ttl_field(ttl) or b',"ttl":null'
    return Call(b'{"op":"expire","key":%s%s' % (key_json(key), seconds), True, results.revision)


# Several keys.


def count(prefix: str = "") -> Call[int]:
    """Count keys."""
    return Call(b'{"op":"count"%s}' % text_field("prefix", prefix), False, results.count)


def page(prefix: str = "", after: str = "", limit: int | None = None, *, values: bool = False) -> Call[Page]:
    """Return some of the keys, in order. (The operation is called `list`, which Python has a use for.)"""
    fields = (
        text_field("prefix", prefix),
        text_field("after", after),
        whole_field("limit", limit, 1),
        flag_field("values", values),
    )
    return Call(b'{"op":"list"%s%s%s%s}' % fields, False, results.page)


def read_many(keys: Iterable[str]) -> Call[dict[str, Any]]:
    """Return the values of those keys that exist."""
    return Call(b'{"op":"read_many","keys":%s}' % keys_json(keys), False, results.values)


def delete_many(keys: Iterable[str]) -> Call[list[str]]:
    """Remove those keys that exist."""
    return Call(b'{"op":"delete_many","keys":%s' % keys_json(keys), True, results.deleted_keys)


def batch_create(items: Mapping[str, Any], ttl: float | None = None) -> Call[int]:
    """Create several keys, or none."""
    return Call(b'{"op":"batch_create","items":%s%s' % (encode_batch(items), ttl_field(ttl)), True, results.revision)


def batch(operations: Iterable[Mapping[str, Any]]) -> Call[list[dict[str, Any]]]:
    """Carry out several operations, or none."""
    if isinstance(operations, str | bytes | Mapping) or not isinstance(operations, Iterable):
        raise RequestError(f"A batch is a list of operations, not a {type(operations).__name__}.")
    members = b",".join([_member(index, operation) for index, operation in enumerate(operations)])
    return Call(b'{"op":"batch","operations":[%s]' % members, True, results.each)


def clear(prefix: str = "") -> Call[int]:
    """Remove all keys with a prefix."""
    return Call(b'{"op":"clear"%s' % text_field("prefix", prefix), True, results.deleted_count)


def watch(prefix: str = "", after: int | None = None, *, wait: float = 0.0) -> Call[Told]:
    """Return the changes since a revision, and wait up to `wait` seconds for one where there is none yet."""
    fields = text_field("prefix", prefix), whole_field("after", after), repr(float(wait)).encode()
    return Call(b'{"op":"watch"%s%s,"wait":%s}' % fields, False, results.told, wait)


# The daemon.


def stats() -> Call[dict[str, Any]]:
    """Return what the daemon has done."""
    return Call(b'{"op":"stats"}', False, results.stats)


def status() -> Call[dict[str, Any]]:
    """Return what the daemon is doing."""
    return Call(b'{"op":"status"}', False, results.status)


def ping() -> Call[str | None]:
    """Return why all changes are refused, or None."""
    return Call(b'{"op":"ping"}', False, results.refusing)


def compact() -> Call[None]:
    """Start a compaction."""
    return Call(b'{"op":"compact"}', False, results.nothing)


def stop() -> Call[None]:
    """End the daemon."""
    return Call(b'{"op":"stop"}', False, results.nothing)


def _replacing(
    op: bytes,
    key: str,
    value: Any,
    ttl: float | None,
    keep_ttl: bool,
    if_revision: int | None,
    ephemeral: bool | int,
) -> Call[int]:
    fields = (
        op,
        key_json(key),
        encode_value(value, key),
        ttl_field(ttl),
        flag_field("keep_ttl", keep_ttl),
        whole_field("if_revision", if_revision),
        ephemeral_field(ephemeral),
    )
    return Call(b'{"op":"%s","key":%s,"value":%s%s%s%s%s' % fields, True, results.revision)


_MEMBERS: dict[str, Callable[..., Call[Any]]] = {
    "create": create,
    "put": put,
    "update": update,
    "delete": delete,
    "increment": increment,
    "pop": pop,
    "expire": expire,
}
_REPLACING = frozenset({"ttl", "keep_ttl", "if_revision", "ephemeral"})
_FIELDS = {
    "create": (frozenset({"key", "value"}), frozenset({"ttl", "ephemeral"})),
    "put": (frozenset({"key", "value"}), _REPLACING),
    "update": (frozenset({"key", "value"}), _REPLACING),
    "delete": (frozenset({"key"}), frozenset({"if_revision"})),
    "increment": (frozenset({"key"}), frozenset({"by", "initial", "ttl"})),
    "pop": (frozenset({"key"}), frozenset({"if_revision"})),
    "expire": (frozenset({"key", "ttl"}), frozenset[str]()),
}


def _member(index: int, operation: Mapping[str, Any]) -> bytes:
    """Return an operation of a batch as JSON. Any error has its `index`."""
    try:
        fields = fields_of(operation, _FIELDS)
        return _MEMBERS[fields.pop("op")](**fields).request + b"}"
    except DataStoreError as error:
        raise type(error)(f"Operation {index} of the batch: {error.message}", error.keys, index) from None
