"""The arguments of an operation as the fields of its request: checked, and encoded as JSON.

Written for speed: importing pydantic would double the time that a short script needs, and a field costs a few tenths of
a microsecond here. The tests hold what this encodes against the declarations in `operations`.
"""

from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring  # the C function behind json.dumps
from typing import Any

from kvclient.contract.errors import InvalidKeyError, InvalidValueError, RequestError
from kvclient.contract.rules import all_valid, check_key, check_ttl, encode_value, shorten

_MOST_WHOLE = 2**63 - 1


def key_json(key: object) -> bytes:
    """Return a key as a JSON string. Raises `InvalidKeyError`."""
    quoted: str = encode_basestring(check_key(key))
    return quoted.encode()


def keys_json(keys: Iterable[str]) -> bytes:
    """Return keys as a JSON array. Raises `InvalidKeyError`, also for a single string in the place of several keys."""
    if isinstance(keys, str) or not isinstance(keys, Iterable):
        raise InvalidKeyError(f"Several keys are a list of strings, not {shorten(repr(keys))}.")
    wanted = list(keys)
    if not all_valid(wanted):
        for key in wanted:
            check_key(key)
    return encode_value(wanted)


def text_field(name: str, text: object) -> bytes:
    """Return the field of a prefix, or of a key to go on after; nothing if it is empty. Raises `InvalidKeyError`."""
    if not isinstance(text, str):
        raise InvalidKeyError(f"The argument {name} is a string, not {type(text).__name__}: {shorten(repr(text))}")
    if not text:
        return b""
    try:
        return b',"%s":%s' % (name.encode(), encode_basestring(text).encode())
    except UnicodeEncodeError:
        raise InvalidKeyError(
            f"The argument {name} holds a lone surrogate, which no key has: {shorten(ascii(text))}"
        ) from None


def ttl_field(ttl: object) -> bytes:
    """Return the field of a TTL in seconds; nothing for None. Raises `InvalidTTLError`."""
    seconds = check_ttl(ttl)
    return b"" if seconds is None else b',"ttl":%s' % repr(seconds).encode()


def whole_field(name: str, number: object, least: int = 0) -> bytes:
    """Return the field of a revision or a number of things; nothing for None. Raises `RequestError`."""
    if number is None:
        return b""
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= _MOST_WHOLE:
        raise RequestError(
            f"The argument {name} is a whole number from {least} on, or None, not {shorten(_shown(number))}."
        )
    return b',"%s":%d' % (name.encode(), number)


def flag_field(name: str, flag: object) -> bytes:
    """Return the field of what is on or off; nothing if it is off. Raises `RequestError`."""
    if flag is False:
        return b""
    if flag is not True:
        raise RequestError(f"The argument {name} is True or False, not {shorten(_shown(flag))}.")
    return b',"%s":true' % name.encode()


def number_field(name: str, number: object, key: str) -> bytes:
    """Return the field of a number to count with. Raises `InvalidValueError`."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InvalidValueError(
            f"Key {key!r} cannot be incremented: {name} is a number, not {type(number).__name__}.", [key]
        )
    return b',"%s":%s' % (name.encode(), encode_value(number, key))


def ephemeral_field(ephemeral: object) -> bytes:
    """Return the field that binds a key to this process (True) or to a pid; nothing for False. Raises
    `InvalidValueError`.
    """
    if ephemeral is False:
        return b""
    if ephemeral is True:
        return b',"ephemeral":true'
    if not isinstance(ephemeral, int) or not 0 < ephemeral <= _MOST_WHOLE:
        raise InvalidValueError(
            f"The argument ephemeral is True, False, or the pid of a process, not {shorten(_shown(ephemeral))}."
        )
    return b',"ephemeral":%d' % ephemeral


def fields_of(operation: object, allowed: Mapping[str, tuple[frozenset[str], frozenset[str]]]) -> dict[str, Any]:
    """Return the fields of an operation in a batch. `allowed` has the names that each operation needs, and may have.

    Raises `RequestError` that says what is wrong with it.
    """
    if not isinstance(operation, Mapping):
        raise RequestError(
            f'An operation is an object such as {{"op": "delete", "key": "key1"}}, not {_kind(operation)}.'
        )
    fields = dict(operation)
    name = fields.get("op")
    if not isinstance(name, str) or name not in allowed:
        raise RequestError(f'"op" is one of {", ".join(allowed)}, not {shorten(_shown(name))}.')
    needed, possible = allowed[name]
    given = fields.keys() - {"op"}
    if missing := needed - given:
        raise RequestError(f"{name} needs the field {min(missing)!r}.")
    if unknown := given - needed - possible:
        raise RequestError(f"{name} has no field {shorten(_shown(min(unknown, key=str)))}.")
    return fields


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # a number of more digits than Python prints
        return _kind(value)


def _kind(value: object) -> str:
    return type(value).__name__
