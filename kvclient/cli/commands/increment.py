"""kvctl increment"""

import math
import re
from typing import Annotated, Any

import typer

from kvclient.cli.command import Key
from kvclient.cli.options import Options
from kvclient.cli.output import show

_is_whole = re.compile("[+-]?[0-9]{1,1000}").fullmatch
_is_decimal = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?").fullmatch


def run(
    options: Options,
    key: Key,
    by: Annotated[str, typer.Argument(metavar="BY", help="What to add; may be negative.")] = "1",
    initial: Annotated[str, typer.Option(metavar="NUMBER", help="What to start from if the key does not exist.")] = "0",
    ttl: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="If the key is created: seconds until it expires.")
    ] = None,
) -> None:
    """Add to a number and print the result. Concurrent increments are never lost.

    Example: kvctl increment visits
    """
    value = options.client().increment(key, _number(by, "BY"), initial=_number(initial, "--initial"), ttl=ttl)
    show({"value": value} if options.json else value)


def _number(text: str, name: str) -> Any:
    """Return a number as JSON has it: an int if it looks like one."""
    if _is_whole(text):
        return int(text)
    if _is_decimal(text) and math.isfinite(number := float(text)):
        return number
    raise typer.BadParameter(f"{text!r} is not a number.", param_hint=f"'{name}'")
