"""kvctl watch"""

from typing import Annotated

import typer

from kvclient.cli.command import Prefix
from kvclient.cli.options import Options
from kvclient.cli.printing import compact_json, event_fields, event_line, show_line


def run(
    options: Options,
    prefix: Prefix = "",
    after: Annotated[
        int | None, typer.Option(metavar="REVISION", min=0, help="Begin with the changes since this revision.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Exit after the first event.")] = False,
) -> None:
    """Print changes as they happen, one a line: what happened, the key, and its new value; with --json an object a
    line. Goes on until Ctrl-C, also through restarts of the daemon.

    Example: kvctl watch job: --json | jq .key
    """
    with options.client().watch(prefix, after=after) as events:
        for event in events:
            show_line(compact_json(event_fields(event)) if options.json else event_line(event), at_once=True)
            if once:
                return
