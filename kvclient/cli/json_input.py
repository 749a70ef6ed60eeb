"""JSON that a person typed, or that comes from a file or a pipe."""

import json
import sys
from pathlib import Path
from typing import Any

from kvclient.contract.errors import DataStoreError, InvalidValueError


def parse(text: str, what: str) -> Any:
    """Return the JSON value of `text`, described to people as `what`. Raises `InvalidValueError`."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidValueError(f"{what} is not JSON that can be stored: it is nested too deeply.") from None
    except ValueError as error:
        raise InvalidValueError(f"{what} is not JSON: {error}.{_hint(text)}") from None


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
    if len(text) > 60 or "\n" in text or "'" in text:
        return ""
    bare = text.strip()
    if bare and bare[0] not in '{["':
        return f" Is it a string? Then its quotes need quotes for the shell: '\"{bare}\"'"
    return """ In the shell, put it in single quotes and names and strings in double ones: '{"name": "value1"}'"""


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
