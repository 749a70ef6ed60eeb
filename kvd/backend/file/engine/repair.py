"""Mending a damaged data file: every sound commit is kept, the damaged original too, under another name.

What a lost commit had changed or deleted may be back as it was before. The report names those keys, as far as they can
be known.
"""

import os
from pathlib import Path
from typing import NamedTuple

from kvclient.contract.errors import StoreCorruptError
from kvd.backend.file.engine.check import Report, examine
from kvd.backend.file.engine.conversion import keep
from kvd.backend.file.engine.footnote import NO_FOOTNOTE, read_footnote
from kvd.backend.file.engine.format import Found, rows
from kvd.backend.file.engine.index import Index
from kvd.backend.file.engine.interface import Clear, Put
from kvd.backend.file.engine.load import note_clears
from kvd.backend.file.engine.outcomes import Outcomes
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
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            report = examine(fd, path)
            if report.sound:
                return Repaired(report, None)
            return Repaired(report, _rewrite(fd, path, report))
        finally:
            os.close(fd)
    finally:
        lock.release()


def _rewrite(fd: int, path: Path, report: Report) -> Path:
    index, outcomes = Index(), Outcomes()
    clears: list[Clear] = []
    for found in walk(fd, report.size):
        if isinstance(found, Found):
            _take(found, index, outcomes, clears)
    temporary = path.with_name(f"{path.name}.compacting")
    temporary.unlink(missing_ok=True)
    snapshot = Snapshot(temporary, report.revision)
    try:
        snapshot.resemble(fd)
        for key in index.keys():  # noqa: SIM118  # a list, of what is no dict
            entry = index.find(key)
            assert entry is not None
            value = os.pread(fd, entry.length, entry.address)
            if len(value) != entry.length:
                raise StoreCorruptError(f"The data file {path} was cut while it was being repaired.")
            snapshot.add(key, Put(value, entry.revision, entry.expires_at, index.owner(key)))
        snapshot.finish(outcomes.parsed(), clears)
        snapshot.close_object()
        kept = keep(path, "damaged")
        snapshot.publish(path)
    finally:
        snapshot.discard()
    return kept


def _take(commit: Found, index: Index, outcomes: Outcomes, clears: list[Clear]) -> None:
    index.fill(rows(commit))
    footnote = read_footnote(commit.body) or NO_FOOTNOTE
    note_clears(clears, footnote)
    if commit.ids is not None:
        outcomes.add(commit.ids, footnote.results)
