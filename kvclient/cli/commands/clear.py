"""kvctl clear"""

import sys
from typing import Annotated

import typer

from kvclient.cli.command import Prefix
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.client.blocking import Client
from kvclient.screen.quantities import counted
from kvclient.screen.usage import UsageError

_NOT_DONE = 1


def run(
    options: Options,
    prefix: Prefix = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. Needed where there is no terminal.")] = False,
) -> int:
    """Delete all keys, or all that begin with a prefix, in one step, and print how many there were.

    Example: kvctl clear job: --yes
    """
    client = options.client()
    if not yes and not _confirmed(client, prefix):
        return _NOT_DONE
    deleted = client.clear(prefix)
    show({"deleted": deleted} if options.json else deleted)
    return 0


def _confirmed(client: Client, prefix: str) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("What clear deletes is gone: say that it is meant with --yes.")
    count = client.count(prefix)
    which = f" that {'begins' if count == 1 else 'begin'} with {prefix!r}" if prefix else ""
    return typer.confirm(f"Delete {counted(count, 'key')}{which}?", err=True)
