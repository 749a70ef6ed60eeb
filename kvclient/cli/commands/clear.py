"""kvctl clear"""

from typing import Annotated

import typer

from kvclient.cli.command import Prefix
from kvclient.cli.confirming import can_ask, confirmed
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.client.blocking import Client
from kvclient.contract.errors import AccessDeniedError
from kvclient.screen.quantities import counted
from kvclient.screen.usage import UsageError

_NOT_DONE = 1


def run(
    options: Options,
    prefix: Prefix = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first; needed without a terminal.")] = False,
) -> int:
    """Delete all keys, or all keys with a prefix, atomically, and print how many were deleted.

    Example: kvctl clear job: --yes
    """
    client = options.client()
    if not yes and not _agreed(client, prefix):
        return _NOT_DONE
    deleted = client.clear(prefix)
    show({"deleted": deleted} if options.json else deleted)
    return 0


def _agreed(client: Client, prefix: str) -> bool:
    if not can_ask():
        raise UsageError("clear deletes keys for good. Confirm with --yes.")
    count = client.count(prefix)
    if not count:
        return True
    which = f" that {'begins' if count == 1 else 'begin'} with {prefix!r}" if prefix else ""
    return confirmed(f"Delete {counted(count, 'key')}{which} from {_place(client)}?")


def _place(client: Client) -> str:
    """Return the data file, or the endpoint for who may not know the file."""
    try:
        return str(client.status()["file"])
    except AccessDeniedError:
        return client.endpoint
