"""Values as typed objects: what `read(key, as_=Model)` does with the JSON that it has read. Imports pydantic."""

import json
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kvclient.contract.errors import InvalidValueError


def check(value: Any, kind: Any, key: str) -> Any:
    """Return `value` as a `kind` of object. Raises `InvalidValueError` that says what does not fit.

    From JSON, not from the Python value: a strict model takes a date from JSON's string and would not from Python's.
    """
    try:
        return _adapter(kind).validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"[{step!r}]" for step in first["loc"])
        name = kind.__name__ if isinstance(kind, type) else str(kind)
        raise InvalidValueError(
            f"The value of key {key!r} is no {name}: {first['msg']}{f' (at {place})' if place else ''}.", [key]
        ) from error


def _adapter(kind: Any) -> TypeAdapter[Any]:
    try:
        return _kept(kind)
    except TypeError:  # not hashable, as Annotated with a list in it
        return TypeAdapter(kind)


@lru_cache(maxsize=256)
def _kept(kind: Any) -> TypeAdapter[Any]:
    # Making one takes a hundred times as long as using it.
    return TypeAdapter(kind)
