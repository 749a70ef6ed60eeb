"""kvctl backup"""

import os
import sys
from typing import Annotated

import typer

from kvclient.cli.engine import check_near, engine
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.screen.quantities import bytes_text, counted
from kvclient.screen.usage import UsageError


def run(
    options: Options,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to write; an existing one is replaced.")],
) -> None:
    """Copy the store to a file while others keep writing. The copy is a snapshot of one moment and includes every write
    acknowledged before the command started.

    The copy is itself a data file: 'kvd check FILE' examines it, any JSON program can read it, and 'kvctl restore FILE'
    restores it. It is created with mode 0600, and only once it is complete.

    Example: kvctl backup data_store.backup.json
    """
    if file == "-":
        raise UsageError("A backup needs a file. 'kvctl export' writes to standard output.")
    client = options.client()
    check_near(client.endpoint, "A backup")
    with engine("backup", os.path.abspath(file), client.status()["file"]) as working:
        copied = working.said()
    if options.json:
        show(copied)
        return
    print(
        f"{counted(copied['keys'], 'key')} at revision {copied['revision']}, {bytes_text(copied['bytes'])}, "
        f"in {copied['path']}",
        file=sys.stderr,
    )
