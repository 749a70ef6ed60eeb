"""kvctl export"""

import sys
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import typer

from kvclient.cli.moving.destination import destination
from kvclient.cli.moving.progress import progress
from kvclient.cli.moving.record import fields_of
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.cli.printing import compact_json
from kvclient.contract.records import Entry
from kvclient.screen.console import complain
from kvclient.screen.quantities import counted
from kvclient.screen.usage import UsageError

Format = Literal["lines", "object"]


def run(
    options: Options,
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Where to write; default: standard output.", show_default=False),
    ] = None,
    prefix: Annotated[str, typer.Option(metavar="PREFIX", help="Only keys that begin with this.")] = "",
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            metavar="lines|object",
            help="JSON Lines, or one JSON object.",
            show_default="object for FILE.json, else lines",
        ),
    ] = None,
    values: Annotated[
        bool, typer.Option("--values", help="A JSON object of keys and plain values, without expiry or revisions.")
    ] = False,
) -> None:
    """Write all keys with their values and expiry times to a file, for 'kvctl import' or any other program.

    A line is {"key": …, "value": …, "expires_at": …, "revision": …}; in a single object, a member is "key": {"value":
    …, "expires_at": …, "revision": …}. "expires_at" is in Unix seconds, and absent if the key never expires. Ephemeral
    keys are left out: they belong to a process.

    The file is created with mode 0600, and only once it is complete. Keys are read a thousand at a time; for a snapshot
    of one moment, use 'kvctl backup'.

    Example: kvctl export keys.jsonl
    """
    if values and form == "lines":
        raise UsageError("--values writes a JSON object, and cannot be combined with --format lines.")
    client = options.client()
    as_object = values or (form or _form_of(file)) == "object"
    written = left_out = 0
    total = client.count(prefix)
    with destination(file) as write, progress(total, "keys") as update:

        def entries() -> Iterator[Entry]:
            nonlocal written, left_out
            for entry in client.entries(prefix):
                if entry.owner is None:
                    written += 1
                    yield entry
                else:
                    left_out += 1
                update(written + left_out, written)

        for line in _object(entries(), plain=values) if as_object else map(_line, entries()):
            write(line)
    if left_out:
        complain(f"kvctl: {counted(left_out, 'ephemeral key')} left out: bound to the life of a process.")
    if file is not None and file != "-":
        if options.json:
            show({"exported": written, "ephemeral": left_out, "file": file})
        else:
            print(f"exported {counted(written, 'key')} to {file}", file=sys.stderr)


def _form_of(file: str | None) -> Format:
    return "object" if file is not None and file.endswith(".json") else "lines"


def _line(entry: Entry) -> str:
    return compact_json({"key": entry.key, **fields_of(entry)})


def _object(entries: Iterable[Entry], *, plain: bool) -> Iterator[str]:
    """Yield the lines of an object. A member's comma is on its line, so each is held back until the next one comes."""
    yield "{"
    before = ""
    for entry in entries:
        if before:
            yield f"{before},"
        before = _member(entry, plain=plain)
    if before:
        yield before
    yield "}"


def _member(entry: Entry, *, plain: bool) -> str:
    return f"{compact_json(entry.key)}: {compact_json(entry.value if plain else fields_of(entry))}"
