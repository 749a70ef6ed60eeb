"""Replies as bytes. A read's value is passed through as it lies in the file, so nothing is serialised twice."""

import json

from pydantic import ValidationError

from kvclient.contract.errors import DataStoreError, InvalidTTLError, RequestError
from kvclient.contract.messages import StatusDetails
from kvclient.contract.rules import shorten
from kvd.backend.file.engine.interface import NEVER, Entry

DONE = b'{"ok":true}'


def write_reply(revision: int) -> bytes:
    """Return the reply to a change."""
    return b'{"ok":true,"revision":%d}' % revision


def read_reply(value: bytes, entry: Entry) -> bytes:
    """Return the reply to a read; `value` is JSON."""
    if entry.expires_at == NEVER:
        return b'{"ok":true,"value":%s,"revision":%d}' % (value, entry.revision)
    return b'{"ok":true,"value":%s,"revision":%d,"expires_at":%s}' % (
        value,
        entry.revision,
        repr(entry.expires_at).encode(),
    )


def ping_reply(refusing: str | None) -> bytes:
    """Return the reply to ping; `refusing` is why writes are refused, if they are."""
    return DONE if refusing is None else b'{"ok":true,"refusing":%s}' % json.dumps(refusing).encode()


def status_reply(status: StatusDetails) -> bytes:
    """Return the reply to status."""
    return b'{"ok":true,"status":%s}' % status.model_dump_json(exclude_none=True).encode()


def error_reply(error: DataStoreError) -> bytes:
    """Return the reply to what was refused."""
    reply = {"ok": False, "error": type(error).__name__, "message": error.message, "keys": error.keys}
    return json.dumps(reply, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def invalid_request(error: ValidationError) -> DataStoreError:
    """Return what a client is told whose frame is not a request."""
    problem = error.errors(include_url=False, include_input=False)[0]
    if problem["type"] == "union_tag_not_found":
        return RequestError("The request lacks the field 'op'.")
    if problem["type"] == "union_tag_invalid":
        unknown, known = problem["ctx"]["tag"], problem["ctx"]["expected_tags"]
        return RequestError(f"There is no operation {shorten(unknown)!r}, but there are {known}.")
    place = shorten(".".join(str(part) for part in problem["loc"][1:]))
    where = f" (field {place!r})" if place else ""
    if problem["type"] == "extra_forbidden":
        return RequestError(f"The request has an unknown field: {place!r}.")
    if problem["type"] == "missing":
        return RequestError(f"The request lacks the field {place!r}.")
    if place == "ttl" and problem["type"] == "finite_number":
        return InvalidTTLError("A TTL is a finite number of seconds above 0.")
    return RequestError(f"This is no request{where}: {problem['msg']}.")
