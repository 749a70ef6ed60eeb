"""Requests and replies as bytes, for the clients: what `messages` describes, written and read without it."""

import json
from collections.abc import Mapping
from json.encoder import encode_basestring  # the C function behind json.dumps
from typing import Any

from kvclient.contract.errors import DataStoreError, by_name
from kvclient.contract.rules import check_key, check_ttl, encode_batch, encode_value


def create(key: str, value: Any, ttl: float | None) -> bytes:
    """Return a create request, still open for `identified`."""
    fields = b'"key":%s,"value":%s' % (_quoted(key), encode_value(value, key))
    return b'{"op":"create",%s%s' % (fields, _ttl(ttl))


def batch_create(items: Mapping[str, Any], ttl: float | None) -> bytes:
    """Return a batch_create request, still open for `identified`."""
    return b'{"op":"batch_create","items":%s%s' % (encode_batch(items), _ttl(ttl))


def delete(key: str) -> bytes:
    """Return a delete request, still open for `identified`."""
    return b'{"op":"delete","key":%s' % _quoted(key)


def identified(request: bytes, client: str, number: int) -> bytes:
    """Close a request with an id, by which the daemon knows it again."""
    return b'%s,"id":"%s:%d"}' % (request, client.encode(), number)


def read(key: str) -> bytes:
    """Return a read request."""
    return b'{"op":"read","key":%s}' % _quoted(key)


def plain(op: str) -> bytes:
    """Return a request that consists of its operation."""
    return b'{"op":"%s"}' % op.encode()


# What json.loads comes to, without its looking for the encoding and for white space: half the time for a short reply.
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # typeshed leaves it out


def decode(reply: bytes) -> dict[str, Any]:
    """Return a reply's fields, or raise the error that it tells of."""
    try:
        fields: dict[str, Any] = _scan(reply.decode(), 0)[0]
        if fields["ok"] is True:
            return fields
        error = by_name(fields["error"])(fields["message"], fields["keys"])
    except (ValueError, KeyError, TypeError, StopIteration):
        raise DataStoreError(f"What answered is no kvd: {reply[:60]!r}") from None
    raise error


def _quoted(key: str) -> bytes:
    quoted: str = encode_basestring(check_key(key))
    return quoted.encode()


def _ttl(ttl: float | None) -> bytes:
    seconds = check_ttl(ttl)
    return b"" if seconds is None else b',"ttl":%s' % repr(seconds).encode()
