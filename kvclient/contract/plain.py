"""Which objects are stored as JSON besides what JSON itself has, and what JSON they are.

It is pydantic that serialises them, as it would anywhere else, and it is imported when the first one is stored: the
encoder asks here only for what it cannot encode itself. `read(key, as_=Type)` makes the object of it again.
"""

import json
from pathlib import PurePath
from typing import Any

_TAKEN = frozenset(
    {
        "datetime.datetime",
        "datetime.date",
        "datetime.time",
        "datetime.timedelta",
        "uuid.UUID",
        "decimal.Decimal",
        "enum.Enum",
    }
)
"""Objects of these classes, and of those derived from them. By name: none is imported."""


def is_taken(part: object) -> bool:
    """Tell whether an object has a form as JSON here: pydantic models, dataclasses, times, UUID, Decimal, Path, Enum.

    A set, bytes and what else pydantic could write are not among them: they would come back as something else, unless
    the reader says what they were. In a field of a model or dataclass, which says so, they are serialised.
    """
    if isinstance(part, type):
        return False
    kind = type(part)
    return (
        hasattr(kind, "__pydantic_serializer__")
        or hasattr(kind, "__dataclass_fields__")
        or isinstance(part, PurePath)
        or any(f"{ancestor.__module__}.{ancestor.__qualname__}" in _TAKEN for ancestor in kind.__mro__)
    )


def plain(part: object) -> Any:
    """Return what JSON an object is, as dicts, lists and scalars. Raises `TypeError` for one that is not taken, and
    `ValueError` for one that pydantic cannot serialise.

    >>> plain(datetime.date(2026, 1, 31))
    '2026-01-31'
    """
    if not is_taken(part):
        raise TypeError(f"it holds an object of type {type(part).__name__}")
    if isinstance(part, PurePath):  # without a type to go by, pydantic knows only those of this system
        return str(part)
    from pydantic_core import to_json, to_jsonable_python

    # With `round_trip` it leaves out what is computed, which a strict model would not take back.
    if hasattr(type(part), "__pydantic_serializer__"):
        serializer = part.__pydantic_serializer__  # type: ignore[attr-defined]
        made = serializer.to_python(part, mode="json", round_trip=True)
        text = serializer.to_json(part, round_trip=True, warnings=False)
    else:
        made = to_jsonable_python(part, by_alias=False, round_trip=True)
        text = to_json(part, by_alias=False, round_trip=True)
    # `made` has NaN where `text` has null, so that it is refused, and `text` has both of two names that are the same.
    json.loads(text, object_pairs_hook=_named)
    return made


def _named(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two keys of a dict in it become the same name as JSON, {twice!r}")
