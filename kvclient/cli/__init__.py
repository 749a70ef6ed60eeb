"""The command `kvctl`.

`app` declares the commands and their options; a module each does what a command does. Only `app` imports Typer, which
takes longer than all else that `kvctl read KEY` needs together. What takes time to import is imported in `main`, where
Ctrl-C is no traceback.
"""

import sys

from kvclient.contract.errors import DataStoreError
from kvclient.screen.console import prepare, reporting


def main() -> None:
    """Run the command line and exit; errors are one line on standard error."""
    prepare()
    with reporting(_report):
        _run(sys.argv[1:])


def _run(arguments: list[str]) -> None:
    if len(arguments) == 2 and arguments[0] == "read" and not arguments[1].startswith("-"):
        # What scripts do most, in two thirds of the time.
        from kvclient.cli import read
        from kvclient.cli.options import Options

        read.run(Options(), arguments[1])
    else:
        from kvclient.cli.app import app

        app(prog_name="kvctl")


def _report(error: DataStoreError) -> int:
    from kvclient.cli.output import report

    return report(error)
