"""The command `kvctl`.

`commands` has a module for each command, and `app` puts them together. Both import Typer, which takes longer than all
else that `kvctl read KEY` needs together; so what scripts do most goes without them. What takes time to import is
imported in `main`, where Ctrl-C is no traceback.
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
    from kvclient.cli import shortcut

    if (command := shortcut.of(arguments)) is not None:
        if code := command():
            sys.exit(code)
    else:
        from kvclient.cli.app import app
        from kvclient.screen import usage

        usage.run(app, "kvctl")


def _report(error: DataStoreError) -> int:
    from kvclient.cli.output import report

    return report(error)
