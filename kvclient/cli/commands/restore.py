"""kvctl restore"""

import os
import sys
from typing import Annotated, Any

import typer

from kvclient.cli.commands.stop import end_daemon
from kvclient.cli.confirming import can_ask, confirmed
from kvclient.cli.engine import check_near, engine
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.contract.endpoint import Target
from kvclient.contract.errors import DaemonUnavailableError
from kvclient.screen.console import complain
from kvclient.screen.quantities import counted
from kvclient.screen.usage import UsageError

_NOT_DONE = 1
_STOP_SECONDS = 30.0
"""How long the daemon may take to finish its work."""


def run(
    options: Options,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file made by 'kvctl backup'.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first; needed without a terminal.")] = False,
) -> int:
    """Replace everything in the store with the content of a backup. The previous content is kept in a file beside it.

    Once everything is prepared, the daemon stops, and a new one starts a moment later with the restored keys; requests
    of other clients wait for it. All keys get a new revision, higher than any before. A 'watch' from an older revision
    is refused (RevisionGoneError), so that nobody mistakes the restored keys for changes. Ephemeral keys stay as they
    are now; those in the backup are left out.

    Example: kvctl restore data_store.backup.json --yes
    """
    client = options.client(autostart=False)
    check_near(client.endpoint, "A restore")
    try:
        status: dict[str, Any] | None = client.status()
    except DaemonUnavailableError:
        status = None
    store = Target(options.store, options.endpoint).data_file() if status is None else status["file"]
    if not yes and not _agreed(str(store), None if status is None else status["keys"], file):
        return _NOT_DONE
    wait = str(_STOP_SECONDS + 5)
    with engine("restore", "--wait", wait, os.path.abspath(file), os.path.abspath(store)) as working:
        working.said()
        if status is not None:
            end_daemon(client, max(_STOP_SECONDS, options.timeout))
        restored = working.said()
    if status is not None:
        _start_again(options)
    if options.json:
        show({name: restored[name] for name in ("keys", "revision", "kept")})
        return 0
    kept = "" if restored["kept"] is None else f"; what was there before is {restored['kept']}"
    print(f"restored {counted(restored['keys'], 'key')} from {file}{kept}", file=sys.stderr)
    return 0


def _agreed(store: str, keys: int | None, file: str) -> bool:
    if not can_ask():
        raise UsageError("restore replaces everything in the store. Confirm with --yes.")
    which = "all" if keys is None else f"the {counted(keys, 'key')}"
    return confirmed(f"Replace {which} in {store} with the content of {file}?")


def _start_again(options: Options) -> None:
    """Have the daemon started as any client would. One that somebody started by hand is theirs to start again."""
    try:
        options.client().count()
    except DaemonUnavailableError:
        target = Target(options.store, options.endpoint)
        complain(
            f"kvctl: The daemon has ended. Start it again as it was started, for instance with '{target.command}'."
        )
