"""Values as typed objects: what `read(key, as_=Model)` does with the JSON that it has read. Imports pydantic.

`plain` is the other way.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kvclient.contract.errors import InvalidValueError
from kvclient.contract.rules import shorten

Fields = dict[str, Any]


def conversion(kind: Any, key: str, *, removes: bool) -> Callable[[Fields], Fields]:
    """Return what turns the values in a reply's fields, of `key` or of a list's entries, into a `kind` of object.

    `removes` tells that the key is gone by then. Raises what pydantic raises if it knows no such kind.
    """
    _adapter(kind)  # before anything is asked for

    def convert(fields: Fields) -> Fields:
        if "entries" in fields:
            for entry in fields["entries"]:
                if "value" in entry:
                    entry["value"] = check(entry["value"], kind, entry["key"])
            return fields
        value = fields["value"]
        try:
            fields["value"] = check(value, kind, key)
        except InvalidValueError as error:
            if not removes:
                raise
            raise InvalidValueError(
                f"{error} The key was removed; its value was: {shorten(json.dumps(value), 1000)}", [key]
            ) from error.__cause__
        return fields

    return convert


def check(value: Any, kind: Any, key: str) -> Any:
    """Return `value` as a `kind` of object. Raises `InvalidValueError` that says what does not fit.

    From JSON, not from the Python value: a strict model takes a date from JSON's string and would not from Python's.
    """
    cause: Exception
    try:
        # What has an alias is found under either name: which one it was stored under is the model's choice.
        return _adapter(kind).validate_json(json.dumps(value), by_alias=True, by_name=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"[{step!r}]" for step in first["loc"])
        problem, cause = f"{first['msg']}{f' (at {place})' if place else ''}", error
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration) as error:  # of a validator of the user's
        problem, cause = f"{type(error).__name__}: {error}", error
    name = kind.__name__ if isinstance(kind, type) else str(kind)
    raise InvalidValueError(f"The value of key {key!r} is no {name}: {problem}.", [key]) from cause


def _adapter(kind: Any) -> TypeAdapter[Any]:
    try:
        return _kept(kind)
    except TypeError:  # not hashable, as Annotated with a list in it
        return TypeAdapter(kind)


@lru_cache(maxsize=256)
def _kept(kind: Any) -> TypeAdapter[Any]:
    # Making one takes a hundred times as long as using it.
    return TypeAdapter(kind)
