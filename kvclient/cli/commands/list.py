"""kvctl list"""

import sys
from typing import Annotated

import typer

from kvclient.cli.command import Prefix
from kvclient.cli.options import Options
from kvclient.cli.printing import compact_json, entry_fields, show_line
from kvclient.contract.records import Entry
from kvclient.screen.console import complain


def run(
    options: Options,
    prefix: Prefix = "",
    limit: Annotated[int | None, typer.Option(min=0, metavar="COUNT", help="At most this many keys.")] = None,
    after: Annotated[str, typer.Option(metavar="KEY", help="Only keys after this one.")] = "",
    values: Annotated[bool, typer.Option("--values", help="Also print the values, after a tab.")] = False,
) -> None:
    """List keys in order: as a table on a terminal, otherwise one per line; with --json, one object per line.

    Printing starts at once and needs little memory, however many keys there are.

    Example: kvctl list job: --values
    """
    table = not options.json and sys.stdout is not None and sys.stdout.isatty()
    entries = options.client().entries(prefix, after=after, limit=limit, values=values or table)
    if table:
        from kvclient.cli.key_table import show_table

        if not show_table(entries):
            complain(f"No key begins with {prefix!r}." if prefix else "There are no keys.")
        return
    for entry in entries:
        show_line(compact_json(entry_fields(entry, value=values)) if options.json else _line(entry, values=values))


def _line(entry: Entry, *, values: bool) -> str:
    return f"{entry.key}\t{compact_json(entry.value)}" if values else entry.key
