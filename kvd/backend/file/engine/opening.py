"""Opening a data file: it is made, converted or taken over where that is needed, and read to its end."""

import logging
import os
from pathlib import Path
from typing import NamedTuple

from kvclient.contract.errors import StoreCorruptError
from kvd.backend.file.engine.check import examine
from kvd.backend.file.engine.conversion import convert, plain_entries
from kvd.backend.file.engine.filesystem import look_around
from kvd.backend.file.engine.format import HEADER, VERSION
from kvd.backend.file.engine.index import Index
from kvd.backend.file.engine.load import Loaded, Progress, load
from kvd.backend.file.engine.possession import refuse_other_names, take
from kvd.backend.file.engine.repair import rewrite
from kvd.backend.file.engine.scan import is_ours
from kvd.backend.file.engine.snapshot import pwrite_all
from kvd.lock import Lock

log = logging.getLogger(__name__)


class Opened(NamedTuple):
    """A data file that is open and locked, and all that is known of it."""

    fd: int
    entries: Index
    loaded: Loaded


def open_file(path: Path, temporary: Path, lock: Lock, max_file_bytes: int, progress: Progress) -> Opened:
    """Open and read the file at `path`, which is created if there is none.

    `temporary` is where another file is written that is to take its place. Raises `StoreLockedError`,
    `StoreCorruptError`, or `DataStoreError` or `OSError` if the path cannot be used.
    """
    fd = take(path, temporary, lock)
    try:
        look_around(fd, path)
        progress(0, os.fstat(fd).st_size)
        if not is_ours(fd, path):
            fd = _convert(fd, path, temporary, max_file_bytes)
        refuse_other_names(fd, path)
        index = Index()
        try:
            loaded = load(fd, path, index, progress)
        except StoreCorruptError:
            edited = _take_over_edits(fd, path, max_file_bytes)
            if edited is None:
                raise
            fd, index = edited, Index()
            loaded = load(fd, path, index, progress)
        if os.pread(fd, len(HEADER), 0) != HEADER:  # version 1 reads no commit of this version
            pwrite_all(fd, HEADER, 0)
            log.info("brought %s to format %d", path, VERSION)
        os.fdatasync(fd)  # what a killed process had written may be in the page cache only
    except BaseException:
        os.close(fd)
        raise
    return Opened(fd, index, loaded)


def _convert(fd: int, path: Path, temporary: Path, max_file_bytes: int) -> int:
    """Put a data file in the place of a plain JSON file, and return it."""
    with open(fd, "rb", closefd=False) as file:
        entries = plain_entries(file.read(), path)
    kept, converted = convert(path, entries, temporary, max_file_bytes)
    os.close(fd)
    log.warning("converted %s, a plain JSON file of %d keys; the original is %s", path, len(entries), kept)
    return converted


def _take_over_edits(fd: int, path: Path, max_file_bytes: int) -> int | None:
    """Take over what somebody changed in the file, and return the sound one; None if it is not valid JSON any more."""
    report = examine(fd, path)
    if not report.edited:
        return None
    kept, rewritten = rewrite(fd, path, report, max_file_bytes)
    os.close(fd)
    log.warning(
        "%s was changed from outside while no daemon had it open (if not by you, by the disk): %s. "
        "All of it is taken over; the original is %s",
        path,
        report.changed(),
        kept,
    )
    return rewritten
