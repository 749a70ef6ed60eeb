"""A function's calls as keys: `memo:prices.rate(currency="EUR",days=3)`. A call's key is the same in every process.

A key is made of the function's module and qualified name, and of its arguments by name and as JSON, defaults included:
`rate("EUR")`, `rate(currency="EUR")` and `rate("EUR", days=3)` are one call where `days=3` is the default. Objects in
arguments are sorted by name. A key that would be too long has a digest in place of the arguments.

An argument that is not JSON is refused, because what Python shows of it (`<Session object at 0x7f…>`) is neither the
same in another process nor different for a different object.
"""

import functools
import hashlib
import inspect
import json
import os
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from kvclient.contract import diagnosis
from kvclient.contract.errors import InvalidValueError
from kvclient.contract.rules import check_key, encode_value

MOST_CHARACTERS = 240
"""Of a key. The daemon's `max_key_length` is 256 by default; the rest is for what is put behind a call's key."""
_MOST_OF_NAME = 160
_DIGEST_BYTES = 20
_MAIN = ("__main__", "__mp_main__")
"""What a program's first file is called in it, and in the processes that multiprocessing starts of it."""
_STARS: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
# What JSON leaves as it is, and a key must not hold. In JSON it can only be part of a string.
_escaped = functools.partial(re.compile("[\x7f-\x9f]").sub, lambda found: f"\\u{ord(found[0]):04x}")


class CallKeys:
    """The keys of one function's calls."""

    def __init__(
        self,
        function: Callable[..., Any],
        prefix: str,
        ignore: str | int | Collection[str | int],
        key: Callable[..., Any] | None,
    ) -> None:
        """Prepare to make keys that begin with `prefix`. See `memoize` for `ignore` and `key`.

        Raises `TypeError` if the function has no name to make keys of, or takes its arguments in a way that cannot be
        found out; `ValueError` if there is no argument as in `ignore`; `InvalidKeyError` for a `prefix` that no key can
        begin with.
        """
        self.name = _name(function)
        self._key = key
        self._parameters: dict[str, inspect.Parameter] = {}
        if key is None:
            self._signature = _signature(function, self.name)
            self._parameters = dict(self._signature.parameters)
        elif not callable(key):
            raise TypeError(f"key= is a function of the arguments, not {key!r}.")
        # Once: an enumeration's members have a slow hash.
        self._stars = {name: _STARS.get(parameter.kind, "") for name, parameter in self._parameters.items()}
        self._ignored = frozenset(self._ignorable(ignore))
        self.prefix = f"{_shortened(f'{prefix}{self.name}', _MOST_OF_NAME)}("
        """What the keys of all calls begin with, and no other function's."""
        check_key(self.prefix)

    def of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return the key of the call with these arguments.

        Raises `TypeError` if the function does not take them, or one of them cannot be part of a key.
        """
        parts = self._chosen(self._key(*args, **kwargs)) if self._key else ",".join(self._parts(args, kwargs))
        key = f"{self.prefix}{parts})"
        return key if len(key) <= MOST_CHARACTERS else f"{self.prefix}#{_digest(key)})"

    def _parts(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[str]:
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}(): {error}") from None
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            if name in self._ignored:
                continue
            stars = self._stars[name]
            if not stars:
                yield f"{name}={self._argument(name, value)}"
            elif stars == "*":
                if value:
                    each = ",".join(self._argument(name, one) for one in value)
                    yield f"*{name}=[{each}]"
            elif kept := sorted(set(value) - self._ignored):
                named = ",".join(f"{self._text(one)}:{self._argument(one, value[one])}" for one in kept)
                yield f"**{name}={{{named}}}"

    def _argument(self, name: str, value: Any) -> str:
        try:
            return self._text(value)
        except InvalidValueError as error:
            advice = (
                f"Leave it out with ignore=({name!r},) if it makes no difference to the result, or give key=, "
                "a function of the arguments that returns what tells calls apart."
            )
            raise self._refusal(f"argument {name!r}", value, error, advice) from None

    def _chosen(self, value: Any) -> str:
        try:
            return self._text(value)
        except InvalidValueError as error:
            raise self._refusal("what key= returned", value, error, "Let it return JSON, such as a str.") from None

    def _refusal(self, what: str, value: Any, error: InvalidValueError, advice: str) -> TypeError:
        reason = (diagnosis.reason(value) or error.message.rstrip(".")).partition(";")[0]
        return TypeError(f"{self.name}(): {what} cannot be part of a key: {reason}. {advice}")

    def _text(self, value: Any) -> str:
        encoded = encode_value(value)
        text = encoded.decode()
        if b"{" in encoded:
            text = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return _escaped(text)

    def _ignorable(self, ignore: str | int | Collection[str | int]) -> Iterator[str]:
        """Yield the names of the arguments to ignore."""
        each = (ignore,) if isinstance(ignore, str | int) else tuple(ignore)
        if each and self._key is not None:
            raise ValueError("With key= there is nothing to ignore: it is given all arguments and returns what counts.")
        names = list(self._parameters)
        takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in self._parameters.values())
        for one in each:
            if isinstance(one, int) and 0 <= one < len(names):
                yield names[one]
            elif isinstance(one, str) and (takes_any or one in self._parameters):
                yield one
            else:
                raise ValueError(
                    f"{self.name}() has no argument {one!r} to ignore; it has {', '.join(names) or 'none'}."
                )


def _name(function: Callable[..., Any]) -> str:
    """Return the module and the qualified name of a function: the same in all processes that run its code."""
    name, module = getattr(function, "__qualname__", None), getattr(function, "__module__", None)
    if not callable(function) or not isinstance(name, str) or not isinstance(module, str):
        shown = type(function).__name__
        raise TypeError(
            f"Only a function can be memoized: a {shown} has no name of its own to make keys of. Define one with `def` "
            "that calls it; @classmethod, @staticmethod and @property go above."
        )
    if name.endswith("<lambda>"):
        raise TypeError("A lambda cannot be memoized: all those of a module have the same name. Define it with `def`.")
    return f"{_place(function) if module in _MAIN else module}.{name}"


def _place(function: Callable[..., Any]) -> str:
    """Return what to call the program's first file: two programs must not take each other's functions for their own."""
    names = getattr(inspect.unwrap(function), "__globals__", {})
    if (spec := names.get("__spec__")) is not None:  # python -m
        return str(spec.name)
    file = names.get("__file__")
    return os.path.realpath(file) if file else "__main__"


def _signature(function: Callable[..., Any], name: str) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except ValueError:
        raise TypeError(f"It cannot be found out which arguments {name}() takes: give key=.") from None


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 2 * _DIGEST_BYTES - 1]}~{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()
