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
        list[str], typer.Argument(metavar="COMMAND", help="The command to run, after --.", show_default=False)
    ],
    wait: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, callback=_seconds, help="How long to wait; 0: not at all.", show_default="forever"
        ),
    ] = None,
    shared: Annotated[int, typer.Option(metavar="N", min=1, help="How many may hold the lock at once.")] = 1,
) -> int:
    """Run a command while holding a lock. The lock is free when the command ends, however it ends, and never before.

    Whoever asks first gets the lock first. Once it has the lock, kvctl becomes the command (exec): the same process,
    with its own exit code and signals. KVD_LOCK_REVISION in its environment is the fencing number, which rises with
    every holder. Exit code 4 if others hold the lock for longer than --wait; 127 if the command does not exist, 126 if
    it cannot be run.

    Example: kvctl lock nightly --wait 60 -- ./backup.sh
    """
    return locking.run(options, name, command, wait=wait, shared=shared)
