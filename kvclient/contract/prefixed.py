"""Calls under a prefix: their keys get it on the way to the store, and lose it on the way back.

A request is changed as it is, so that there is nothing here to be written for each operation but which of its fields
has keys; the tests hold that against the declarations. A key's JSON is the JSON of its parts one after the other, so a
prefix can be put in behind the opening quote.

The key that is the prefix itself has no name under it. Lists and watches do not tell of it.
"""

import json
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any, TypeVar

from kvclient.contract.calls import Call
from kvclient.contract.errors import DataStoreError, KeyTooLongError

T = TypeVar("T")

CONCERNS = {
    **dict.fromkeys(("create", "read", "put", "update", "delete", "pop", "increment", "exists", "expire"), "key"),
    **dict.fromkeys(("read_many", "delete_many"), "keys"),
    "batch_create": "items",
    "batch": "operations",
    **dict.fromkeys(("list", "count", "clear", "watch"), "prefix"),
    **dict.fromkeys(("ping", "stats", "status", "compact", "stop"), "nothing"),
}
"""Which field of each operation's request has keys."""

_scan = json.JSONDecoder().raw_decode


def under(prefix: str, call: Call[T]) -> Call[T]:
    """Return the call that concerns the keys of `call` under `prefix`, and tells of them without it."""
    operation = call.request[7 : call.request.index(b'"', 7)].decode()  # behind {"op":"
    field = CONCERNS[operation]
    if not prefix or field == "nothing":
        return call
    if field == "key":
        request = _key(call.request, _inside(prefix))
    elif field == "prefix":
        request = _prefix(call.request, _inside(prefix), listed=operation == "list")
    else:
        request = _keys(call.request, field, prefix)
    return Call(request, call.changes, _without(prefix, operation, call.decode), call.wait)


def strip(error: DataStoreError, prefix: str) -> None:
    """Take `prefix` off the keys of an error, and in its message. Not where the whole key is what is too long."""
    if isinstance(error, KeyTooLongError):
        return
    for key in error.keys:
        if key.startswith(prefix):
            error.message = error.message.replace(repr(key), repr(key.removeprefix(prefix)))
    error.keys = tuple(key.removeprefix(prefix) for key in error.keys)
    error.args = (error.message,)


def _inside(text: str) -> bytes:
    """Return a text as it stands between the quotes of a JSON string."""
    encoded: bytes = encode_basestring(text).encode()
    return encoded[1:-1]


def _key(request: bytes, prefix: bytes) -> bytes:
    before, opening, behind = request.partition(b'"key":"')
    return b"%s%s%s%s" % (before, opening, prefix, behind)


def _prefix(request: bytes, prefix: bytes, *, listed: bool) -> bytes:
    """Change the fields that are texts, or add them where they were left out because they were empty.

    In a JSON string a quote is escaped, so that no text can look like the opening of a field. A list goes on after the
    key that is the prefix itself.
    """
    end = request.index(b'"', 7) + 1
    fields = request[end:]
    for name in (b"prefix", b"after") if listed else (b"prefix",):
        opening = b',"%s":"' % name
        if opening not in fields:
            fields = b'%s"%s' % (opening, fields)
        before, _, behind = fields.partition(opening)
        fields = b"%s%s%s%s" % (before, opening, prefix, behind)
    return request[:end] + fields


def _keys(request: bytes, field: str, prefix: str) -> bytes:
    text = request.decode()
    start = text.index(f'"{field}":') + len(field) + 3
    given, end = _scan(text, start)
    if field == "keys":
        given = [prefix + key for key in given]
    elif field == "items":
        given = {prefix + key: value for key, value in given.items()}
    else:
        given = [{**member, "key": prefix + member["key"]} for member in given]
    encoded = json.dumps(given, ensure_ascii=False, separators=(",", ":"))
    return f"{text[:start]}{encoded}{text[end:]}".encode()


def _without(prefix: str, operation: str, decode: Callable[[dict[str, Any]], T]) -> Callable[[dict[str, Any]], T]:
    """Return what decodes a reply after its keys have lost the prefix."""

    def stripped(fields: dict[str, Any]) -> T:
        if operation == "watch":
            fields["events"] = [event for event in fields["events"] if event["key"] != prefix]
        for told in fields["events" if operation == "watch" else "entries"]:
            told["key"] = told["key"].removeprefix(prefix)
        return decode(fields)

    def deleted(fields: dict[str, Any]) -> T:
        fields["deleted"] = [key.removeprefix(prefix) for key in fields["deleted"]]
        return decode(fields)

    if operation in ("list", "read_many", "watch"):
        return stripped
    return deleted if operation == "delete_many" else decode
