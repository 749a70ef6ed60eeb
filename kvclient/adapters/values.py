"""Values of other frameworks: JSON stays JSON, anything else is pickled if the user allows it.

To load a pickle is to run whatever its writer chose. So a cache loads none unless it was told to: whoever may write to
the store could run code in every process that reads from it.
"""

import math
import pickle
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import NoneType
from typing import Any

from kvclient.contract.errors import InvalidValueError

MARK = "$pickle"
"""A pickle is stored as `{"$pickle": "<base64>"}`."""
_MOST_NESTING = 100
_MOST_BITS = 1023
"""Of a whole number that a double can hold, which is what JSON can carry."""


class Values:
    """How the values of one cache are stored."""

    def __init__(self, option: str, *, pickles: bool) -> None:
        """`option` is what a user writes to allow pickles, for the messages."""
        self._option = option
        self._pickles = pickles

    def stored(self, value: object, key: str) -> object:
        """Return what to store for `value`.

        With pickles, what JSON would bring back as something else (a tuple, a set, NaN, a subclass of str) is pickled.
        Raises what pickle raises for what it cannot take.
        """
        if self._pickles:
            return value if _comes_back(value) else {MARK: b64encode(pickle.dumps(value)).decode()}
        if _is_marked(value):
            raise InvalidValueError(f"The value of key {key!r} looks like a pickle: {MARK!r} is its only name.", [key])
        return value

    def loaded(self, value: Any, key: str) -> Any:
        """Return the value that was stored as `value`. Raises `InvalidValueError` for a pickle without the option."""
        if not _is_marked(value):
            return value
        if not self._pickles:
            raise InvalidValueError(
                f"The value of key {key!r} is a pickle, and loading one can run any code. To allow that, set "
                f"{self._option}, where nobody else can write to the store.",
                [key],
            )
        return pickle.loads(b64decode(value[MARK]))  # noqa: S301  # the option allows it

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Add to an `InvalidValueError` which option would take the value."""
        try:
            yield
        except InvalidValueError as error:
            if self._pickles:
                raise
            message = f"{error.message} To keep any object that can be pickled, set {self._option}."
            raise InvalidValueError(message, error.keys, error.index) from None


def _is_marked(value: object) -> bool:
    return type(value) is dict and len(value) == 1 and MARK in value


def _comes_back(value: Any, left: int = _MOST_NESTING) -> bool:
    """Tell whether JSON brings `value` back equal and of the same types, all through."""
    kind = type(value)
    if kind is list:
        return left > 0 and all(_comes_back(each, left - 1) for each in value)
    if kind is dict:
        return (
            left > 0
            and not _is_marked(value)
            and all(
                type(name) is str and _is_text(name) and _comes_back(each, left - 1) for name, each in value.items()
            )
        )
    return kind in _SCALARS and _SCALARS[kind](value)


def _is_text(text: str) -> bool:
    """Tell whether a string has no lone surrogate, which UTF-8 cannot carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_SCALARS: dict[type, Callable[[Any], bool]] = {
    NoneType: lambda _: True,
    bool: lambda _: True,
    int: lambda number: number.bit_length() <= _MOST_BITS,
    float: math.isfinite,
    str: _is_text,
}
