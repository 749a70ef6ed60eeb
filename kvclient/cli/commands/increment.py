"""kvctl increment"""

from typing import Annotated, Any

import typer

from kvclient.cli.command import Key
from kvclient.cli.options import Options
from kvclient.cli.output import show


def run(
    options: Options,
    key: Key,
    by: Annotated[str, typer.Argument(metavar="BY", help="What to add to it; may be negative.")] = "1",
    initial: Annotated[
        str, typer.Option(metavar="NUMBER", help="What a key counts from that does not exist yet.")
    ] = "0",
    ttl: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Expire after so many seconds, if it did not exist.")
    ] = None,
) -> None:
    """Add to the number that a key has, and print the sum. Nobody else's addition is lost.

    Example: kvctl increment visits
    """
    value = options.client().increment(key, _number(by, "BY"), initial=_number(initial, "--initial"), ttl=ttl)
    show({"value": value} if options.json else value)


def _number(text: str, name: str) -> Any:
    """Return a number as JSON has it: an int if it looks like one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise typer.BadParameter(f"{text!r} is not a number.", param_hint=f"'{name}'")
