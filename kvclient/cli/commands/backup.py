"""kvctl backup"""

import os
import sys
from typing import Annotated

import typer

from kvclient.cli.engine import check_near, engine
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.screen.quantities import bytes_text, counted


def run(
    options: Options,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to. What is there is replaced.")],
) -> None:
    """Copy the store to a file, while others go on writing. The copy is of one moment and has everything that was
    acknowledged before this command began.

    The copy is a data file: 'kvd check FILE' finds it sound, any JSON program reads it, and 'kvctl restore FILE' puts
    it back. It has mode 0600, and is there whole or not at all.

    Example: kvctl backup data_store.backup.json
    """
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
