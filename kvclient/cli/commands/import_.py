"""kvctl import"""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, BinaryIO, Literal

import typer

from kvclient.cli.moving import foreign
from kvclient.cli.moving.importing import Counts, Importer, OnConflict
from kvclient.cli.moving.progress import progress
from kvclient.cli.moving.record import Record
from kvclient.cli.moving.text import STANDARD_INPUT, Text
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.contract.errors import DataStoreError, InvalidValueError
from kvclient.screen.console import complain
from kvclient.screen.quantities import counted
from kvclient.screen.usage import UsageError

Source = Literal["shelve", "dbm", "diskcache"]
_SHOWN = 20
"""Values that are no JSON are named one by one, up to so many."""


def run(
    options: Options,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What 'kvctl export' wrote; - is standard input.")],
    on_conflict: Annotated[
        OnConflict,
        typer.Option("--on-conflict", metavar="fail|skip|replace", help="What to do with a key that exists."),
    ] = "fail",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, and what is wrong with the file.")
    ] = False,
    values: Annotated[bool, typer.Option("--values", help="FILE is one JSON object, key → value.")] = False,
    source: Annotated[
        Source | None,
        typer.Option(
            "--from",
            metavar="|".join(foreign.SOURCES),
            help="FILE is another library's: a file, or diskcache's directory.",
        ),
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="With --from: leave out what is not JSON, instead of refusing all.")
    ] = False,
) -> None:
    """Write the keys of a file to the store, with the time that is left of their TTLs. The file is JSON Lines or one
    JSON object, as 'kvctl export' writes them.

    What fits into one batch (setting max_batch, 10,000 keys) is written in one step: all of it or, if a line is bad or
    a key exists, nothing. Of a larger file the error says how many keys were written before; with --on-conflict skip
    the same command goes on from there. Every key gets a new revision. What has expired and what was ephemeral is left
    out, and counted.

    shelve and diskcache keep pickles, which could run any program. kvctl reads them without running anything: numbers,
    texts, lists and dicts are taken, and every value that is something else is named.

    Example: kvctl import keys.jsonl --on-conflict skip
    """
    if source is not None and (values or file == "-"):
        raise UsageError("--from takes a path, and no --values.")
    if skip_invalid and source is None:
        raise UsageError("--skip-invalid goes with --from.")
    if source is not None and (invalid := _name_invalid(source, file)) and not skip_invalid:
        raise InvalidValueError(
            f"{counted(invalid, 'key')} of {file} cannot be stored. Nothing was written; --skip-invalid takes the rest."
        )
    name = STANDARD_INPUT if file == "-" else file
    importer = Importer(options.client(), on_conflict, dry_run=dry_run)
    if source is not None:
        with progress(None, "keys") as update:
            importer.take(_valid(source, file), lambda count: update(count, count))
    else:
        with _opened(file) as opened, progress(_size(opened), "keys") as update:
            text = Text(opened, name, values=values)
            importer.take(text.records(), lambda count: update(text.position, count))
    _report(importer.counts, name, dry_run=dry_run, as_json=options.json)


def _valid(source: Source, file: str) -> Iterator[Record]:
    return (record for record in foreign.records(source, file) if isinstance(record, Record))


def _name_invalid(source: Source, file: str) -> int:
    """Tell which keys of another library's store cannot be stored, and return how many there are."""
    count = 0
    for found in foreign.records(source, file):
        if isinstance(found, DataStoreError):
            count += 1
            if count <= _SHOWN:
                complain(f"kvctl: {found.message}")
    if count > _SHOWN:
        complain(f"kvctl: … and {count - _SHOWN} more.")
    return count


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        if sys.stdin is None:
            raise DataStoreError("Standard input cannot be read: it is closed.")
        yield sys.stdin.buffer
        return
    try:
        opened = open(file, "rb")  # noqa: SIM115
    except OSError as error:
        raise DataStoreError(f"{file} cannot be read: {error.strerror}.") from None
    with opened:
        yield opened


def _size(file: BinaryIO) -> int | None:
    """Return the bytes that a file has; None for a pipe."""
    found = os.fstat(file.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _report(counts: Counts, name: str, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        show({**counts._asdict(), "dry_run": dry_run})
        return
    left_out = {
        "there already": counts.skipped,
        "expired": counts.expired,
        "bound to a process": counts.ephemeral,
    }
    told = ", ".join(f"{count:,} {why}" for why, count in left_out.items() if count)
    print(
        f"{'would import' if dry_run else 'imported'} {counted(counts.written, 'key')} from {name}"
        f"{f'; left out: {told}' if told else ''}",
        file=sys.stderr,
    )
