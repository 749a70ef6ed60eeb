"""kvctl lock"""

from typing import Annotated

import typer

from kvclient.cli import locking
from kvclient.cli.command import finite
from kvclient.cli.options import Options


def _seconds(value: float | None) -> float | None:
    return None if value is None else finite(value)


def run(
    options: Options,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The lock's name.")],
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="What to run, behind --.", show_default=False)
    ],
    wait: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, callback=_seconds, help="Wait no longer for it; 0: not at all.", show_default="∞"
        ),
    ] = None,
    shared: Annotated[int, typer.Option(metavar="N", min=1, help="So many may hold it at a time.")] = 1,
) -> int:
    """Run a command while nobody else holds the lock. Free when the command ends, however it ends, and never before.

    Waits its turn, first come first served. Then it becomes the command: the same process, with its exit code and its
    signals, and KVD_LOCK_REVISION in its environment, which rises from holder to holder. Exit code 4 if others hold it
    for longer than --wait; 127 if there is no such command, 126 if it cannot be run.

    Example: kvctl lock nightly --wait 60 -- ./backup.sh
    """
    return locking.run(options, name, command, wait=wait, shared=shared)
