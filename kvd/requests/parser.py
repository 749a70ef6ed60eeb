"""Parsing a frame within bounds: as many bytes, items and levels as the settings allow, and never much at a time.

A frame up to 64 KiB is parsed at once, in microseconds. A larger one goes in steps of a few milliseconds, between which
the daemon serves others.
"""

import re
from collections.abc import Generator
from typing import Any, get_args

import msgspec

from kvclient.contract.errors import (
    BatchTooLargeError,
    DataStoreError,
    InvalidTTLError,
    RequestError,
)
from kvclient.contract.operations import OPERATIONS
from kvclient.contract.operations.batch import Member
from kvclient.contract.rules import invalid_value, shorten
from kvd.limits import Limits
from kvd.requests.chunks import chunks
from kvd.requests.twins import read_items, read_keys, read_members, read_request
from kvd.requests.values import SMALL_BYTES, checked, compact, constant, has_odd_numbers, squeezed

LARGE_BYTES = 64 * 1024
"""Frames of more bytes are to be parsed in steps."""
_STEP_BYTES = 256 * 1024
_MEMBER_BYTES = 200
"""What looking at a member of a batch costs, in bytes of a value that cost as much."""

_quoted = re.compile(r"`([^`]*)`")
_index = re.compile(r"`\$\[([0-9]+)\]")
_place = re.compile(r"^(.*) - at `\$\.?(.*)`$", re.DOTALL)

Steps = Generator[None, None, Any]
"""Runs in steps, and returns the request in the end."""


class Parser:
    """Turns frames into requests, within limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def parse(self, body: bytes) -> Any:
        """Return the request in a frame: the twin of its model, with values as compact JSON and batches in full.

        Raises `RequestError` for what is none, and the errors of invalid values and of batches that are too large.
        """
        request = self._read(body)
        prepare = _PREPARED.get(request.op)
        if prepare is _VALUE:
            request.value = compact(bytes(request.value), request.key, self._limits.max_value_bytes)
        elif prepare is _MEMBERS:
            for _ in self._members(request):
                pass
        return request

    def steps(self, body: bytes) -> Steps:
        """Do as `parse` in steps."""
        request = self._read(body)
        yield
        if request.op in _WITH_VALUE:
            request.value = compact(bytes(request.value), request.key, self._limits.max_value_bytes)
        elif request.op in _WITH_MEMBERS:
            yield from self._members(request)
        return request

    def _read(self, body: bytes) -> Any:
        try:
            if not body.isascii():
                body.decode()  # what is left raw is not looked at by the parser
            return read_request(body)
        except msgspec.ValidationError as error:
            raise _invalid(str(error)) from None
        except msgspec.DecodeError as error:
            raise _unreadable(body, str(error)) from None
        except UnicodeDecodeError as error:
            raise RequestError(f"This is no request: it is not UTF-8 at byte {error.start}.") from None
        except RecursionError:
            raise RequestError("This is no request: it is nested too deeply.") from None

    def _members(self, request: Any) -> Generator[None, None, None]:
        """Parse the members of a batch or a list of keys, and count them on the way."""
        match request.op:
            case "batch_create":
                request.items = yield from self._items(_array_or_object(request.items, b"{", "items"))
            case "batch":
                request.operations = yield from self._operations(
                    _array_or_object(request.operations, b"[", "operations")
                )
            case _:
                keys: list[str] = []
                for part in _decoded(_array_or_object(request.keys, b"[", "keys"), read_keys, "keys"):
                    keys += part
                    self._check_count(len(keys), request.op)
                    yield
                request.keys = keys

    def _items(self, text: bytes) -> Generator[None, None, dict[str, bytes]]:
        text = squeezed(text)
        raw: dict[str, Any] = {}
        for part in _decoded(text, read_items, "items"):
            raw |= part
            self._check_count(len(raw), "batch_create")
            yield
        most, odd = self._limits.max_value_bytes, has_odd_numbers(text)
        pending = 0
        small = 0 if odd else min(most, SMALL_BYTES)
        for key, value in raw.items():
            found = bytes(value)
            if len(found) > small:
                found = checked(found, key, most, odd_numbers=odd)
            raw[key] = found
            pending += len(found) + _MEMBER_BYTES
            if pending >= _STEP_BYTES:
                pending = 0
                yield
        return raw

    def _operations(self, text: bytes) -> Generator[None, None, list[Any]]:
        operations: list[Any] = []
        for part in _decoded(text, read_members, "operations"):
            operations += part
            self._check_count(len(operations), "batch")
            yield
        pending = 0
        for index, member in enumerate(operations):
            if member.id is not None:
                raise RequestError(f"Operation {index} of the batch has an id; only the batch itself can have one.")
            if member.op not in _WITH_VALUE:
                continue
            try:
                member.value = compact(bytes(member.value), member.key, self._limits.max_value_bytes)
            except DataStoreError as error:
                error.index = index
                raise
            pending += len(member.value) + _MEMBER_BYTES
            if pending >= _STEP_BYTES:
                pending = 0
                yield
        return operations

    def _check_count(self, count: int, op: str) -> None:
        if count > self._limits.max_batch:
            raise BatchTooLargeError(
                f"The {op} has more than {self._limits.max_batch} members, the limit (setting max_batch). "
                "Send it in several."
            )


_WITH_VALUE = {op for op, model in OPERATIONS.items() if "value" in model.model_fields}
_WITH_MEMBERS = {op for op, model in OPERATIONS.items() if model.concerns in ("keys", "items", "operations")}
_VALUE, _MEMBERS = "value", "members"
_PREPARED = dict.fromkeys(_WITH_VALUE, _VALUE) | dict.fromkeys(_WITH_MEMBERS, _MEMBERS)
"""What has to be done with a request of an operation, once it is read."""
_IN_A_BATCH = [op for op, model in OPERATIONS.items() if model in get_args(Member)]


def _array_or_object(raw: Any, opening: bytes, field: str) -> bytes:
    text = bytes(raw)
    if not text.startswith(opening):
        kind = "an array" if opening == b"[" else "an object"
        raise RequestError(f"This is no request (field {field!r}): it has to be {kind}.")
    return squeezed(text) if len(text) > LARGE_BYTES else text


def _decoded(text: bytes, decode: Any, field: str) -> Any:
    count = 0
    try:
        for part in chunks(text, decode):
            count += len(part)
            yield part
    except msgspec.ValidationError as error:
        message = _index.sub(lambda found: f"`$[{int(found[1]) + count}]", str(error))  # it counts from the piece on
        raise _invalid(message, field) from None
    except msgspec.DecodeError as error:
        raise RequestError(f"This is no request (field {field!r}): {error}.") from None
    except RecursionError:
        raise RequestError(f"This is no request (field {field!r}): it is nested too deeply.") from None


def _invalid(message: str, field: str = "") -> DataStoreError:
    """Return what a client is told whose request has the wrong fields, or fields of the wrong type."""
    place = ""
    if found := _place.match(message):
        message, place = found[1], found[2]
    place = shorten(".".join(part for part in (field, place) if part).replace(".[", "["))
    names = _quoted.findall(message)
    if message.startswith("Object contains unknown field"):
        return RequestError(f"The request has an unknown field: {shorten(names[0] if names else message)!r}.")
    if message.startswith("Object missing required field"):
        return RequestError(f"The request lacks the field {names[0]!r}.")
    if place.endswith("op") and message.startswith("Invalid value"):
        return _unknown_operation(shorten(message.removeprefix("Invalid value ").strip("'")), in_batch=bool(field))
    if place.endswith("ttl") and "out of range" in message:
        return InvalidTTLError("A TTL is a finite number of seconds above 0.")
    where = f" (field {place!r})" if place else ""
    return RequestError(f"This is no request{where}: {shorten(message.replace('`', ''), 200)}.")


def _unknown_operation(name: str, *, in_batch: bool) -> DataStoreError:
    known = _IN_A_BATCH if in_batch else list(OPERATIONS)
    if name in known:
        return RequestError(f"The request has the field 'op' twice, with {name!r} and another operation.")
    if in_batch:
        return RequestError(f"A batch cannot have the operation {name!r}, but {', '.join(known)}.")
    return RequestError(f"There is no operation {name!r}, but there are {', '.join(known)}.")


def _unreadable(body: bytes, message: str) -> DataStoreError:
    """Return what a client is told whose request is no JSON."""
    if len(body) <= LARGE_BYTES and (found := constant(body)) is not None:
        field, key = found
        if field == "ttl":
            return InvalidTTLError("A TTL is a finite number of seconds above 0.")
        return invalid_value("NaN and infinities are not JSON", key if isinstance(key, str) else None)
    return RequestError(f"This is no request: {message}.")
