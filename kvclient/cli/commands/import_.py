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
    file: Annotated[str, typer.Argument(metavar="FILE", help="What 'kvctl export' wrote; - reads standard input.")],
    on_conflict: Annotated[
        OnConflict,
        typer.Option("--on-conflict", metavar="fail|skip|replace", help="What to do with a key that exists."),
    ] = "fail",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and say what would be imported.")] = False,
    values: Annotated[bool, typer.Option("--values", help="FILE is a JSON object of keys and plain values.")] = False,
    source: Annotated[
        Source | None,
        typer.Option(
            "--from",
            metavar="|".join(foreign.SOURCES),
            help="FILE belongs to another library: a file, or a diskcache directory.",
        ),
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="With --from: skip what is not JSON, instead of refusing all.")
    ] = False,
) -> None:
    """Import keys from a file, with the time left until they expire. The file is JSON Lines or a JSON object, as 'kvctl
    export' writes them.

    An import that fits into one batch (setting max_batch, 10,000 keys) is atomic: if a line is bad or a key exists,
    nothing is written. If a larger one fails, the error says how many keys were written before; the same command with
    --on-conflict skip continues from there. Every key gets a new revision. Keys that have expired or were ephemeral are
    left out, and counted.

    shelve and diskcache store pickles, which can run code when they are loaded. kvctl reads them without running
    anything: it takes numbers, strings, lists and dicts, and names every value that is something else.

    Example: kvctl import keys.jsonl --on-conflict skip
    """
    if source is not None and (values or file == "-"):
        raise UsageError("--from takes a path, and cannot be combined with --values.")
    if skip_invalid and source is None:
        raise UsageError("--skip-invalid needs --from.")
    if source is not None and (invalid := _name_invalid(source, file)) and not skip_invalid:
        raise InvalidValueError(
            f"{counted(invalid, 'key')} of {file} cannot be stored. Nothing was written; --skip-invalid takes the rest."
        )
    name = STANDARD_INPUT if file == "-" else file
    importer = Importer(options.client(), on_conflict, dry_run=dry_run)
    try:
        _take(importer, source, file, name, values=values)
    except KeyboardInterrupt:
        if importer.counts.written and not dry_run:
            done = counted(importer.counts.written, "key")
            complain(f"kvctl: Interrupted: {done} written so far. With --on-conflict skip, the rest can be imported.")
        raise
    _report(importer.counts, name, dry_run=dry_run, as_json=options.json)


def _take(importer: Importer, source: Source | None, file: str, name: str, *, values: bool) -> None:
    if source is not None:
        with progress(None, "keys") as update:
            importer.take(_valid(source, file), lambda count: update(count, count))
        return
    with _opened(file) as opened, progress(_size(opened), "keys") as update:
        text = Text(opened, name, values=values)
        importer.take(text.records(), lambda count: update(text.position, count))


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
