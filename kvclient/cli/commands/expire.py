"""kvctl expire"""

from typing import Annotated

import typer

from kvclient.cli.command import Key
from kvclient.cli.options import Options
from kvclient.cli.output import show

_NEVER = "never"


def run(
    options: Options,
    key: Key,
    seconds: Annotated[str, typer.Argument(metavar="SECONDS", help="Seconds from now, or never.")],
) -> None:
    """Set when a key expires, or that it never does. Its value stays the same.

    Example: kvctl expire key1 3600
    """
    revision = options.client().expire(key, None if seconds == _NEVER else _seconds(seconds))
    if options.json:
        show({"revision": revision})


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number nor never.", param_hint="'SECONDS'") from None
