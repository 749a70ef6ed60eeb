"""VALUE, as `create`, `put` and `update` take it: JSON, `-` for standard input, or a text by `--string`."""

from typing import Annotated, Any

import typer

from kvclient.cli import json_input
from kvclient.screen.usage import UsageError

Value = Annotated[
    str | None,
    typer.Argument(metavar="VALUE", help="Any JSON value; - reads it from standard input.", show_default=False),
]


def given_value(value: str | None, text: str | None) -> Any:
    """Return the value that the command line gives. Raises `InvalidValueError`, and `UsageError` if there is none."""
    if value is not None and text is not None:
        raise UsageError("Give either VALUE or --string, not both.")
    if text is not None:
        return text
    if value is None:
        raise UsageError("Missing argument 'VALUE': give JSON, - to read standard input, or --string TEXT.")
    if value == "-":
        return json_input.parse(json_input.read("-"), "Standard input")
    return json_input.parse(value, "VALUE", typed=True)
