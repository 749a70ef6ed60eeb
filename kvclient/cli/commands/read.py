"""kvctl read"""

from typing import Annotated

import typer

from kvclient.cli import reading
from kvclient.cli.command import Keys
from kvclient.cli.options import Options
from kvclient.screen.usage import UsageError


def run(
    options: Options,
    keys: Keys,
    raw: Annotated[bool, typer.Option("--raw", help="Print a string as text, without quotes.")] = False,
    entry: Annotated[
        bool, typer.Option("--entry", help="Print the key with its value, revision, expiry and owner.")
    ] = False,
) -> int:
    """Print the values of keys as JSON. Keys that do not exist are reported, and the others are still printed.

    Example: kvctl read key1
    """
    if raw and (entry or options.json):
        raise UsageError("--raw prints only values: it cannot be combined with --entry or --json.")
    return reading.run(options, keys, raw=raw, entry=entry)
