"""What a valid key, value and TTL is: the one place that decides, for the clients and for the store.

The clients call these without limits (limits are the daemon's settings), the store with them.
"""

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from json.encoder import c_make_encoder, encode_basestring  # type: ignore[attr-defined]  # typeshed lacks the first
from typing import Any, cast

from kvclient.contract.errors import (
    DataStoreError,
    InvalidKeyError,
    InvalidTTLError,
    InvalidValueError,
    KeyTooLongError,
    ValueTooLargeError,
)

# Unicode category Cc (C0, DEL, C1) and Cs (surrogates, which UTF-8 cannot carry).
_forbidden_in_keys = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search

MAX_NESTING = 190
"""So deep may arrays and objects nest: what the daemon's parser takes as part of a request, with something to spare."""
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SCALARS, _CONTAINERS = frozenset({str, int, float, bool, type(None)}), (dict, list, tuple)
_PLAIN = _SCALARS.union(_CONTAINERS)


def _plain(part: object) -> Any:
    from kvclient.contract.plain import plain

    return plain(part)


# json.JSONEncoder.encode makes such an encoder anew at each call, which is half its time for a short value. Without
# `markers` (the first argument) what contains itself is found to be nested too deeply. What it cannot encode it asks
# `_plain` for: so plain values pay nothing for dates and models.
_chunks = c_make_encoder(None, _plain, encode_basestring, None, ":", ",", False, False, False)


def check_key(key: object, max_length: int | None = None) -> str:
    """Return `key` if it is valid, else raise `InvalidKeyError` or `KeyTooLongError`; `max_length` is in characters."""
    if not isinstance(key, str):
        raise InvalidKeyError(f"A key is a string, not {type(key).__name__}: {shorten(repr(key))}")
    if not key:
        raise InvalidKeyError("A key cannot be empty.", [key])
    if found := _forbidden_in_keys(key):
        kind = "a lone surrogate" if found[0] >= "\ud800" else "a control character"
        shown = shorten(ascii(key))
        raise InvalidKeyError(
            f"Key {shown} holds {kind} (U+{ord(found[0]):04X}) at position {found.start()}.",
            [key.encode("utf-8", "backslashreplace").decode()],
        )
    if max_length is not None and len(key) > max_length:
        raise KeyTooLongError(
            f"Key {shorten(key)!r} has {len(key)} characters; the limit is {max_length} (setting max_key_length).",
            [key],
        )
    return key


def check_ttl(ttl: object) -> float | None:
    """Return `ttl`, in seconds, as a float (None: never expires), or raise `InvalidTTLError`."""
    if ttl is None:
        return None
    if isinstance(ttl, bool) or not isinstance(ttl, int | float):
        raise InvalidTTLError(f"A TTL is a number of seconds or None, not {type(ttl).__name__}: {shorten(repr(ttl))}")
    try:
        seconds = float(ttl)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds) or seconds <= 0:
        raise InvalidTTLError(f"A TTL is a finite number of seconds above 0, not {shorten(str(seconds))}.")
    return seconds


def _to_json(value: object) -> bytes:
    # Lone surrogates surface in `.encode()`.
    return "".join(_chunks(value, 0)).encode()


def _is_too_deep(value: object, encoded: bytes, most: int) -> bool:
    """Tell whether a value nests more than `most` deep. Only one with as many brackets is gone through."""
    if len(encoded) <= 2 * most or encoded.count(b"[") + encoded.count(b"{") <= most:
        return False
    parts: list[Any] = [value]
    for _ in range(most + 1):
        if _SCALARS.issuperset(kinds := set(map(type, parts))):
            return False
        if not kinds <= _PLAIN:  # such as a model, which may nest as well
            return _is_too_deep(json.loads(encoded), encoded, most)
        containers = [part for part in parts if isinstance(part, _CONTAINERS)]
        parts = list(chain.from_iterable([c.values() if isinstance(c, dict) else c for c in containers]))
    return True


def _is_shallow(encoded: bytes) -> bool:
    """Tell, in a tenth of the time of encoding, that a batch nests a few levels deep; False: it may be deeper.

    Brackets in strings can deceive it; what then is too deep is refused by the daemon.
    """
    brackets = encoded.translate(None, _ALL_BUT_BRACKETS)
    for _ in range(8):
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
    return not brackets


def _has_only_string_names(value: object, most: int) -> bool:
    """Tell whether all names in a value are strings: of others the encoder makes some, `1` and `"1"` the same one.

    There are at most `most` dicts in it, the braces in its JSON. When so many were seen the walk ends, mostly before it
    looks at a single scalar, and `join` is the fastest way to have a string's type checked: both together take a fifth
    of the time of encoding.
    """
    try:
        if type(value) is dict:
            "".join(value)
            if most == 1:
                return True
        parts: list[Any] = [value]
        while most > 0 and parts:
            dicts = [part for part in parts if isinstance(part, dict)]
            "".join(chain.from_iterable(dicts))
            most -= len(dicts)
            if most > 0:
                containers = [part for part in parts if isinstance(part, _CONTAINERS)]
                parts = list(chain.from_iterable([c.values() if isinstance(c, dict) else c for c in containers]))
    except TypeError:
        return False
    return True


def encode_value(value: object, key: str | None = None) -> bytes:
    """Return `value` as compact UTF-8 JSON, or raise `InvalidValueError`; `key` is for its message."""
    try:
        encoded = _to_json(value)
    except RecursionError:
        encoded = None
    except (TypeError, ValueError) as error:
        raise _refusal(value, key, str(error)) from None
    if encoded is None or _is_too_deep(value, encoded, MAX_NESTING):
        raise invalid_value(f"it is nested more than {MAX_NESTING} deep, or contains itself", key)
    if (dicts := encoded.count(b"{")) and not _has_only_string_names(value, dicts):
        raise _refusal(value, key, "a name in it is no string")
    return encoded


def _refusal(value: object, key: str | None, reason: str) -> InvalidValueError:
    from kvclient.contract import diagnosis

    return invalid_value(diagnosis.reason(value) or reason, key)


def all_valid(keys: Collection[object], max_length: int | None = None) -> bool:
    """Tell whether `check_key` accepts all `keys`, in a fraction of the time. Of subclasses of str it does not know."""
    if set(map(type, keys)) != {str}:
        return not keys
    strings = cast("Collection[str]", keys)
    fits = max_length is None or max(map(len, strings)) <= max_length
    return fits and "" not in strings and _forbidden_in_keys("".join(strings)) is None


def encode_items(items: object) -> dict[str, bytes]:
    """Return the items of a batch with their values encoded. Raises one error that names every invalid key."""
    if not isinstance(items, Mapping):
        raise InvalidValueError(f"A batch is a mapping of keys to values, not {type(items).__name__}.")
    encoded: dict[str, bytes] = {}
    problems: list[DataStoreError] = []
    for key, value in items.items():
        try:
            encoded[check_key(key)] = encode_value(value, key)
        except DataStoreError as error:
            problems.append(error)
    if problems:
        raise summary(problems)
    return encoded


def encode_batch(items: object) -> bytes:
    """Return the items of a batch as one JSON object. Raises as `encode_items`."""
    if type(items) is dict and all_valid(items):
        try:
            encoded = _to_json(items)
            fits = _is_shallow(encoded) or not _is_too_deep(items, encoded, MAX_NESTING + 1)
            if fits and _has_only_string_names(items, encoded.count(b"{")):
                return encoded
        except (RecursionError, TypeError, ValueError):
            pass  # which key's value it is shows one by one
    return b"{%s}" % b",".join(b"%s:%s" % (_to_json(key), value) for key, value in encode_items(items).items())


def summary(problems: Sequence[DataStoreError]) -> DataStoreError:
    """Return one error for all keys of an operation that were refused, of the class of the first."""
    first = problems[0]
    if len(problems) == 1:
        return first
    shown = " ".join(map(str, problems[:3]))
    more = f" … and {len(problems) - 3} more." if len(problems) > 3 else ""
    keys = [key for problem in problems for key in problem.keys]
    return type(first)(f"{len(problems)} keys were refused, nothing was written. {shown}{more}", keys)


def invalid_value(reason: str, key: str | None) -> InvalidValueError:
    """Return the error for a value that is not JSON."""
    of = f" of key {key!r}" if key is not None else ""
    return InvalidValueError(f"The value{of} is not JSON: {reason}.", [key] if key is not None else ())


def check_value_size(size: int, key: str, max_bytes: int) -> None:
    """Raise `ValueTooLargeError` if a value of `size` bytes is over `max_bytes`."""
    if size > max_bytes:
        raise ValueTooLargeError(
            f"The value of key {key!r} has {size} bytes as compact JSON; "
            f"the limit is {max_bytes} (setting max_value_bytes).",
            [key],
        )


def shorten(text: str, most: int = 60) -> str:
    """Return `text` as it can be shown in a message, in at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
