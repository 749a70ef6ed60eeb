"""A value as it is stored: the JSON that was sent, made compact, and refused if a reader could trip over it."""

import json
import re
from itertools import accumulate
from typing import Any

import msgspec

from kvclient.contract.errors import DataStoreError
from kvclient.contract.rules import MAX_NESTING, check_value_size, encode_value, invalid_value

# A number that may be larger than a double, or have more digits than Python's int() takes, is looked at more closely.
# Where there is one shows when all digits look alike; a regular expression takes four times as long.
_ALIKE = bytes(
    ord("0") if 0x30 <= byte <= 0x39 else ord("e") if byte in b"eE" else byte if byte == ord("+") else ord(" ")
    for byte in range(256)
)
_FEWEST_DIGITS = 309 - 99
"""With an exponent of two digits, a number of so many may be too large."""
_MANY_DIGITS = b"0" * _FEWEST_DIGITS
_floats = re.compile(rb"(?<![0-9])[0-9]++(?:\.[0-9]++(?:[eE][-+]?[0-9]++)?|[eE][-+]?[0-9]++)").findall
_endless = re.compile(rb"(?<![0-9])[0-9]{4301}").search
_read_floats = msgspec.json.Decoder(list[float]).decode
_strings = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SIGNS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
SMALL_BYTES = 2 * MAX_NESTING
"""Compact JSON of so many bytes cannot nest too deeply."""
_ESCAPE_SAVES = 5
"""Bytes that `\\u0061` has more than the one byte that it stands for."""


def compact(raw: bytes, key: str, max_bytes: int) -> bytes:
    """Return valid JSON as it is stored; see `squeezed` and `checked`."""
    text = squeezed(raw)
    return checked(text, key, max_bytes, odd_numbers=has_odd_numbers(text))


def squeezed(text: bytes) -> bytes:
    """Return valid JSON without white space outside of strings."""
    if b" " in text or b"\n" in text or b"\t" in text or b"\r" in text:
        return msgspec.json.format(text, indent=-1)
    return text


def has_odd_numbers(text: bytes) -> bool:
    """Tell whether there may be numbers that `checked` has to look at."""
    alike = text.translate(_ALIKE)
    return b"0e000" in alike or b"0e+000" in alike or (len(text) >= _FEWEST_DIGITS and _MANY_DIGITS in alike)


def checked(text: bytes, key: str, max_bytes: int, *, odd_numbers: bool) -> bytes:
    r"""Return compact JSON that may be stored as it is, numbers and escapes as they were sent.

    Raises `ValueTooLargeError` for more than `max_bytes` (escapes such as `\u00e9` count as the characters that they
    stand for), and `InvalidValueError` for what nests too deeply, or holds a number that is larger than a double or has
    more than 4,300 digits. A value is not parsed for all this, which would take ten times as long.
    """
    size = len(text)
    if size > max_bytes:
        check_value_size(size - _ESCAPE_SAVES * text.count(b"\\u"), key, max_bytes)
    if odd_numbers:
        _check_numbers(_outside_strings(text), key)
    if size > SMALL_BYTES and text.count(b"[") + text.count(b"{") > MAX_NESTING:
        _check_depth(_outside_strings(text), key)
    if size > max_bytes:  # json can read it, as it was found fit for that
        text = encode_value(json.loads(text), key)
        check_value_size(len(text), key, max_bytes)
    return text


def _outside_strings(text: bytes) -> bytes:
    return _strings.sub(b"", text) if b'"' in text else text


def _check_numbers(outside: bytes, key: str) -> None:
    if _endless(outside):
        raise invalid_value("a number in it has more than 4300 digits", key)
    try:
        _read_floats(b"[%s]" % b",".join(_floats(outside)))
    except msgspec.ValidationError:
        raise invalid_value("a number in it is too large for a double", key) from None


def _check_depth(outside: bytes, key: str) -> None:
    signs = outside.translate(_SIGNS, _ALL_BUT_BRACKETS)
    if max(accumulate(memoryview(signs).cast("b")), default=0) > MAX_NESTING:
        raise too_deep(key)


def too_deep(key: str) -> DataStoreError:
    """Return the error for a value whose arrays and objects nest too deeply."""
    return invalid_value(f"it is nested more than {MAX_NESTING} deep", key)


def constant(body: bytes) -> tuple[str, Any] | None:
    """Return the field of a request that is no JSON only because it has NaN or an infinity in it, and its value.

    Python's `json`, for one, writes these; who sends them is to be told so. None for anything else.
    """
    if b"NaN" not in body and b"Infinity" not in body:
        return None
    found = False

    def note(_: str) -> None:
        nonlocal found
        found = True

    try:
        request = json.loads(body, parse_constant=note)
    except (ValueError, RecursionError):
        return None
    if not found or not isinstance(request, dict):
        return None
    return ("ttl", None) if "ttl" in request and request["ttl"] is None else ("value", request.get("key"))
