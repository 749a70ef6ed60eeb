"""Why a Python value is not JSON: which part of it, and what to store instead.

Asked only where the encoder has refused or a name has been found that is no string; so it may take its time.
"""

import math
from collections.abc import Iterator
from typing import Any

_INSTEAD = {
    "pydantic.main.BaseModel": 'store value.model_dump(mode="json")',
    "datetime.datetime": "store value.isoformat(), or value.timestamp() as a number",
    "datetime.date": "store value.isoformat()",
    "datetime.time": "store value.isoformat()",
    "datetime.timedelta": "store value.total_seconds()",
    "uuid.UUID": "store str(value)",
    "decimal.Decimal": "store str(value), which keeps all digits",
    "fractions.Fraction": "store str(value)",
    "pathlib.PurePath": "store str(value)",
    "enum.Enum": "store value.value or value.name",
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
    seen: set[int] = set()
    waiting = [iter([(value, ())])]
    while waiting:
        part, path = next(waiting[-1], (None, None))
        if path is None:
            waiting.pop()
            continue
        yield part, path
        if isinstance(part, dict | list | tuple) and id(part) not in seen:
            seen.add(id(part))
            waiting.append(_children(part, path))


def _children(part: object, path: tuple[Any, ...]) -> Iterator[tuple[object, tuple[Any, ...]]]:
    if isinstance(part, dict):
        yield from ((child, (*path, name)) for name, child in part.items())
    elif isinstance(part, list | tuple):
        yield from ((child, (*path, index)) for index, child in enumerate(part))


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
    return f"{place} is of type {type(part).__name__}; {_instead(part)}"


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
        if ancestor.__module__.startswith("pathlib"):  # a package with private modules from Python 3.13 on
            return _INSTEAD["pathlib.PurePath"]
    if hasattr(part, "__dataclass_fields__"):
        return "store dataclasses.asdict(value)"
    if hasattr(part, "keys") and hasattr(part, "__getitem__"):
        return "store dict(value)"
    if hasattr(part, "__iter__"):
        return "store list(value)"
    return "store what it consists of, as dict, list, str, int, float, bool or None"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
