"""kvctl list"""

from typing import Annotated

import typer

from kvclient.cli.command import Prefix
from kvclient.cli.options import Options
from kvclient.cli.printing import compact_json, entry_fields, show_line
from kvclient.contract.records import Entry


def run(
    options: Options,
    prefix: Prefix = "",
    limit: Annotated[int | None, typer.Option(min=0, metavar="COUNT", help="So many keys at most.")] = None,
    after: Annotated[str, typer.Option(metavar="KEY", help="Only keys behind this one.")] = "",
    values: Annotated[bool, typer.Option("--values", help="Print the values too, behind a tab.")] = False,
) -> None:
    """Print keys in their order, one a line; with --json an object a line. Begins at once, however many there are.

    Example: kvctl list job: --values
    """
    for entry in options.client().entries(prefix, after=after, limit=limit, values=values):
        show_line(compact_json(entry_fields(entry, value=values)) if options.json else _line(entry, values=values))


def _line(entry: Entry, *, values: bool) -> str:
    return f"{entry.key}\t{compact_json(entry.value)}" if values else entry.key
