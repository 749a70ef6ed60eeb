"""JSON that a person typed, or that comes from a file or a pipe."""

import ast
import json
import shlex
import sys
import warnings
from pathlib import Path
from typing import Any

from kvclient.contract.errors import DataStoreError, InvalidValueError
from kvclient.contract.rules import encode_value

_LONGEST_TO_HINT_AT = 200
_PYTHON = "JSON needs double quotes, and writes true, false and null."


def parse(text: str, what: str, *, typed: bool = False) -> Any:
    """Return the JSON value of `text`, described to people as `what`; `typed` if it stood on the command line.

    Raises `InvalidValueError`.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidValueError(f"{what} is not JSON that can be stored: it is nested too deeply.") from None
    except ValueError as error:
        if not text.strip():
            raise InvalidValueError(f"{what} is not JSON: it is empty.") from None
        if "set_int_max_str_digits" in str(error):
            raise InvalidValueError(f"{what} is not JSON that can be stored: a number has too many digits.") from None
        raise InvalidValueError(f"{what} is not JSON: {error}.{_hint(text) if typed else ''}") from None


def read(source: str) -> str:
    """Return the text of the file named `source`, or of standard input if that is `-`. Raises `DataStoreError`."""
    name = "Standard input" if source == "-" else source
    if source == "-" and sys.stdin is None:
        raise DataStoreError(f"{name} cannot be read: it is closed.")
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise DataStoreError(f"{name} cannot be read: {error.strerror}.") from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidValueError(f"{name} is not UTF-8: byte {error.start} is 0x{data[error.start]:02x}.") from None


def _hint(text: str) -> str:
    """Tell how to type what was probably meant."""
    bare = text.strip()
    if not bare or len(bare) > _LONGEST_TO_HINT_AT or "\n" in bare:
        return ""
    if (meant := _from_python(bare)) is not None:
        return f" {_PYTHON} Try: {_typed(text, meant)}"
    if bare[0] not in "{[\"'":
        quoted = json.dumps(bare, ensure_ascii=False)
        return f" For a string, use --string, or quote it for JSON and for the shell: {shlex.quote(quoted)}"
    if "'" in bare:
        return f" {_PYTHON}"
    return (
        " JSON needs double quotes around names and strings, and the shell single quotes around all of it: "
        """'{"name": "value1"}'"""
    )


def _from_python(text: str) -> str | None:
    """Return the JSON of what `text` is in Python, or None if that is nothing that JSON has."""
    try:
        with warnings.catch_warnings(action="ignore"):
            value = ast.literal_eval(text)
        encode_value(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return json.dumps(value, ensure_ascii=False)


def _typed(text: str, meant: str) -> str:
    """Return the command as it would have been right, or only the value if that was not on the command line."""
    if sys.argv.count(text) != 1:
        return meant
    return shlex.join(["kvctl", *(meant if word == text else word for word in sys.argv[1:])])


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
