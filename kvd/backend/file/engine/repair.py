"""Mending a damaged data file: every sound commit is kept, the damaged original too, under another name.

What a lost commit had changed or deleted may be back as it was before. The report names those keys, as far as they can
be known. A file that somebody edited, and that is still valid JSON, loses nothing; the start does the same with it.
"""

import os
from pathlib import Path
from typing import NamedTuple

from kvclient.contract.errors import StoreCorruptError, StoreFullError
from kvd.backend.file.engine.check import Report, examine
from kvd.backend.file.engine.conversion import keep
from kvd.backend.file.engine.edits import Edit
from kvd.backend.file.engine.footnote import NO_FOOTNOTE, read_footnote
from kvd.backend.file.engine.format import CLOSING, Found, rows
from kvd.backend.file.engine.index import Index
from kvd.backend.file.engine.interface import Clear, Put
from kvd.backend.file.engine.load import note_clears
from kvd.backend.file.engine.outcomes import Outcomes
from kvd.backend.file.engine.possession import take_existing
from kvd.backend.file.engine.scan import walk
from kvd.backend.file.engine.snapshot import Snapshot
from kvd.lock import Lock


class Repaired(NamedTuple):
    """What became of a file."""

    report: Report
    """What had been found."""
    kept: Path | None
    """Where the original is; None if there was nothing to mend, and nothing was changed."""


def repair(path: Path) -> Repaired:
    """Mend the file at `path`, which no daemon may have open. Atomic: a crash leaves the old file or the mended one.

    Raises `StoreLockedError`, `StoreCorruptError` if it is no data file, and `DataStoreError` or `OSError` if it cannot
    be read or written.
    """
    path = path.resolve(strict=True)
    if not path.is_file():
        raise StoreCorruptError(f"{path} is not a regular file.")
    lock = Lock(path, f"The data file {path}")
    try:
        fd = take_existing(path, lock)
        try:
            report = examine(fd, path)
            if report.sound:
                return Repaired(report, None)
            kept, new_fd = rewrite(fd, path, report)
            os.close(new_fd)
            return Repaired(report, kept)
        finally:
            os.close(fd)
    finally:
        lock.release()


def rewrite(fd: int, path: Path, report: Report, max_file_bytes: int | None = None) -> tuple[Path, int]:
    """Put a sound file in the place of the one that is open and that `report` is about.

    All its sound commits are kept, and of a file that is merely edited, the edits: each with a new revision, since its
    key has changed. Returns where the original is, and the new file, open and locked. Raises `StoreFullError`, with
    nothing changed, if it would have more than `max_file_bytes`.
    """
    index, outcomes, edits = Index(), Outcomes(), dict[str, Put]()
    clears: list[Clear] = []
    revision = report.revision
    if report.edited:
        revision = max(revision, *(gap.damage.edit.revision for gap in report.gaps if gap.damage.edit is not None)) + 1
    for found in walk(fd, report.size):
        if isinstance(found, Found):
            _take(found, index, outcomes, clears, edits)
        elif report.edited and found.edit is not None:
            _take_edit(found.edit, revision, index, edits)
    temporary = path.with_name(f"{path.name}.compacting")
    temporary.unlink(missing_ok=True)
    snapshot = Snapshot(temporary, revision)
    try:
        snapshot.resemble(fd)
        for key in index.keys():  # noqa: SIM118  # a list, of what is no dict
            entry = index.find(key)
            assert entry is not None
            value = os.pread(fd, entry.length, entry.address)
            if len(value) != entry.length:
                raise StoreCorruptError(f"The data file {path} was cut while it was being repaired.")
            snapshot.add(key, Put(value, entry.revision, entry.expires_at, index.owner(key)))
        for key, put in edits.items():
            snapshot.add(key, put)
        snapshot.finish(outcomes.parsed(), clears)
        snapshot.close_object()
        size = snapshot.end + len(CLOSING)
        if max_file_bytes is not None and size > max_file_bytes:
            raise StoreFullError(
                f"{path} was changed from outside and would have {size} bytes, more than its limit of "
                f"{max_file_bytes} (setting max_file_bytes). Nothing was changed; raise the limit."
            )
        kept = keep(path, "original" if report.edited else "damaged")
        snapshot.publish(path)
        return kept, os.dup(snapshot.fd)
    finally:
        snapshot.discard()


def _take(commit: Found, index: Index, outcomes: Outcomes, clears: list[Clear], edits: dict[str, Put]) -> None:
    found = list(rows(commit))
    for key, *_ in found if edits else ():
        edits.pop(key, None)
    index.fill(found)
    footnote = read_footnote(commit.body) or NO_FOOTNOTE
    note_clears(clears, footnote)
    if commit.ids is not None:
        outcomes.add(commit.ids, footnote.results)


def _take_edit(edit: Edit, revision: int, index: Index, edits: dict[str, Put]) -> None:
    for key, put in edit.changes.items():
        index.remove(key)
        edits.pop(key, None)
        if put is not None:
            edits[key] = put._replace(revision=revision)
