"""The command `kvctl`.

`app` declares the commands and their options; a module each does what a command does. Only `app` imports Typer, which
takes longer than all else that `kvctl read KEY` needs together.
"""

import sys

from kvclient.cli.options import Options
from kvclient.cli.output import report
from kvclient.console import prepare, reporting


def main() -> None:
    """Run the command line and exit; errors are one line on standard error."""
    prepare()
    with reporting(report):
        _run(sys.argv[1:])


def _run(arguments: list[str]) -> None:
    if len(arguments) == 2 and arguments[0] == "read" and not arguments[1].startswith("-"):
        # What scripts do most, in two thirds of the time.
        from kvclient.cli import read

        read.run(Options(), arguments[1])
    else:
        from kvclient.cli.app import app

        app(prog_name="kvctl")
