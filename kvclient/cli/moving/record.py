"""A key as it is written to a file and read from one.

In JSON Lines it is an object a line, `{"key": …, "value": …, "expires_at": …, "revision": …}`; in one JSON object it is
a member, `"key": {"value": …, "expires_at": …, "revision": …}`, or with --values just `"key": value`. `expires_at` is
in Unix seconds and left out if the key never expires. `revision` says how new the key was where it comes from: the
store that takes it gives it a revision of its own.
"""

import math
from typing import Any, NamedTuple

from kvclient.contract.errors import InvalidKeyError, InvalidValueError
from kvclient.contract.records import Entry
from kvclient.contract.rules import check_key, shorten

FIELDS = frozenset({"key", "value", "expires_at", "revision", "owner"})
MOST_BYTES = 32 << 20
"""Of one record as text: twice what the daemon takes as a request by default."""
_BESIDE_VALUE = 100
"""Bytes of a request beside a record's own text, at most."""


class Record(NamedTuple):
    """A key that was read from a file."""

    place: str
    """Where in the file, for messages: `Line 17 of keys.jsonl`."""
    key: str
    value: Any
    expires_at: float | None
    """Unix seconds; None if it never expires."""
    ephemeral: bool
    """Whether it was bound to a process, which another store cannot follow."""
    size: int
    """Bytes that it takes in a request, about."""


def fields_of(entry: Entry) -> dict[str, Any]:
    """Return what is written of an entry, but for its key."""
    expires = {} if entry.expires_at is None else {"expires_at": entry.expires_at}
    return {"value": entry.value, **expires, "revision": entry.revision}


def record_from(place: str, key: Any, fields: Any, size: int) -> Record:
    """Return the record that `fields` describe. Raises `InvalidKeyError` or `InvalidValueError` that name the place."""
    if not isinstance(fields, dict) or "value" not in fields:
        raise InvalidValueError(
            f'{place} is not an object with a "value". For an object of plain values, use --values.'
        )
    if unknown := fields.keys() - FIELDS:
        raise InvalidValueError(f"{place} has fields of unknown meaning: {', '.join(sorted(unknown))}.")
    expires_at = fields.get("expires_at")
    if expires_at is not None and not _is_time(expires_at):
        raise InvalidValueError(
            f"{place} has an expires_at that is no time in Unix seconds: {shorten(repr(expires_at))}."
        )
    return Record(
        place,
        checked(place, key),
        fields["value"],
        None if expires_at is None else float(expires_at),
        fields.get("owner") is not None,
        size + _BESIDE_VALUE,
    )


def plain_record(place: str, key: Any, value: Any, size: int, expires_at: float | None = None) -> Record:
    """Return the record of a key with a value and nothing else. Raises `InvalidKeyError` that names the place."""
    return Record(place, checked(place, key), value, expires_at, ephemeral=False, size=size + _BESIDE_VALUE)


def checked(place: str, key: Any) -> str:
    """Return the key if it can be one."""
    try:
        return check_key(key)
    except InvalidKeyError as error:
        raise InvalidKeyError(f"{place}: {error}", error.keys) from None


def _is_time(number: Any) -> bool:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    try:
        return math.isfinite(float(number))
    except OverflowError:
        return False
