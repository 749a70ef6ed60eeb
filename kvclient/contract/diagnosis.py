"""Why a Python value is not JSON: which part of it, and what to store instead.

Asked only where the encoder has refused or a name has been found that is no string; so it may take its time.
"""

import math
from collections.abc import Iterator
from typing import Any

from kvclient.contract.plain import is_taken, plain

_INSTEAD = {
    "fractions.Fraction": "store str(value)",
    "builtins.bytes": "store base64.b64encode(value).decode(), or value.decode() if it is text",
    "builtins.bytearray": "store base64.b64encode(value).decode()",
    "builtins.memoryview": "store base64.b64encode(value).decode()",
    "builtins.set": "store sorted(value) or list(value)",
    "builtins.frozenset": "store sorted(value) or list(value)",
    "builtins.complex": "store [value.real, value.imag]",
    "numpy.generic": "store value.item()",
    "numpy.ndarray": "store value.tolist()",
}
"""What to store instead of an object of these classes and of those derived from them. By name: none is imported."""


def reason(value: object) -> str | None:
    """Say which part of `value` is not JSON and what to store instead; None: it is none of what this knows."""
    return next((found for part, path in _parts(value) if (found := _objection(part, _place(path)))), None)


def _parts(value: object) -> Iterator[tuple[object, tuple[Any, ...]]]:
    """Yield `value` and all that is in it, in the encoder's order, each with the names and indexes that lead to it.

    What is in it several times is gone through once: a value that contains itself has no end.
    """
    seen: dict[int, object] = {}  # what has an entry lives on, so that no other object can get its id
    waiting = [iter([(value, ())])]
    while waiting:
        part, path = next(waiting[-1], (None, None))
        if path is None:
            waiting.pop()
            continue
        yield part, path
        if id(part) not in seen and (isinstance(part, dict | list | tuple) or _is_object(part)):
            seen[id(part)] = part
            waiting.append(_children(part, path))


def _children(part: object, path: tuple[Any, ...]) -> Iterator[tuple[object, tuple[Any, ...]]]:
    if isinstance(part, dict):
        yield from ((child, (*path, name)) for name, child in part.items())
    elif isinstance(part, list | tuple):
        yield from ((child, (*path, index)) for index, child in enumerate(part))
    elif _failure(part) is None:
        yield plain(part), path


def _is_object(part: object) -> bool:
    """Tell whether `part` is stored as the JSON that pydantic makes of it."""
    return not isinstance(part, str | int | float | dict | list | tuple) and is_taken(part)


def _failure(part: object) -> str | None:
    try:
        plain(part)
    except (TypeError, ValueError, RecursionError) as error:
        return str(error)
    return None


def _place(path: tuple[Any, ...]) -> str:
    if not path:
        return "it"
    steps = [f'["{step}"]' if isinstance(step, str) else f"[{step}]" for step in path]
    shown = steps if len(steps) <= 8 else [*steps[:4], "…", *steps[-3:]]
    return f"the part at {''.join(map(_short, shown))}"


def _objection(part: object, place: str) -> str | None:
    if isinstance(part, str):
        surrogate = next((char for char in part if "\ud800" <= char <= "\udfff"), None)
        return surrogate and f"{place} holds a lone surrogate ({surrogate!a})"
    if isinstance(part, dict):
        return next((_name_objection(name, place) for name in part if not _is_text(name)), None)
    if isinstance(part, float):
        return None if math.isfinite(part) else f"{place} is {part!r}, and JSON has no such number; store null or text"
    if part is None or isinstance(part, int | list | tuple):
        return None
    if not is_taken(part):
        return f"{place} is of type {type(part).__name__}; {_instead(part)}"
    failure = _failure(part)
    return failure and f"{place} is of type {type(part).__name__}, which pydantic cannot serialise: {_line(failure)}"


def _is_text(name: object) -> bool:
    return isinstance(name, str) and not any("\ud800" <= char <= "\udfff" for char in name)


def _name_objection(name: object, place: str) -> str:
    if isinstance(name, str):
        return f"{place} has a name with a lone surrogate: {_short(ascii(name))}"
    shown = f"{_short(repr(name))} ({type(name).__name__})"
    return f"{place} has the key {shown}, and JSON has only strings for names; use str(key)"


def _instead(part: object) -> str:
    for ancestor in type(part).__mro__:
        if hint := _INSTEAD.get(f"{ancestor.__module__}.{ancestor.__qualname__}"):
            return hint
    if hasattr(part, "keys") and hasattr(part, "__getitem__"):
        return "store dict(value)"
    if hasattr(part, "__iter__"):
        return "store list(value)"
    return "store what it consists of, as dict, list, str, int, float, bool or None"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


def _line(text: str) -> str:
    """Return the first line of a message, which goes on in one of ours."""
    line = text.strip().partition("\n")[0].rstrip(".")
    return line if len(line) <= 200 else f"{line[:199]}…"
