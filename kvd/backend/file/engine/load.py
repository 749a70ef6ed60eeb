"""Opening a data file: every commit verified, the index built, a torn tail cut."""

import logging
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from kvclient.contract.errors import StoreCorruptError
from kvd.backend.file.engine.footnote import NO_FOOTNOTE, Footnote, read_footnote
from kvd.backend.file.engine.format import CLOSING, HEADER, Row, rows
from kvd.backend.file.engine.index import Index
from kvd.backend.file.engine.interface import Clear, Outcome
from kvd.backend.file.engine.outcomes import Outcomes
from kvd.backend.file.engine.reading import pread
from kvd.backend.file.engine.scan import Damage, commits, damage_at, has_header
from kvd.backend.file.engine.snapshot import close_at

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Is called with the bytes that were read and those that there are."""
_PROGRESS_BYTES = 4 << 20


class Loaded(NamedTuple):
    """What is known of a file besides its index."""

    end: int
    """Offset behind the last commit."""
    revision: int
    """That of the last commit, or the next one if there are changes that no commit tells."""
    outcomes: dict[str, Outcome]
    """By client, the latest client last."""
    clears: list[Clear]
    """Those whose keys are not all written down."""
    history_from: int
    """The revision from which on all changes can be told: that of the last commit without a time; the store's if there
    are changes that no commit tells.
    """


def load(fd: int, path: Path, index: Index, progress: Progress) -> Loaded:
    """Fill `index` from the file. Cuts a torn tail; raises `StoreCorruptError` if there is damage before it."""
    size = os.fstat(fd).st_size
    if not has_header(fd):
        damage = damage_at(fd, 0, size, 0)
        assert damage is not None
        raise _corrupt(path, damage)
    end, revision = len(HEADER), 0
    history_from = 0
    untold = False
    outcomes = Outcomes()
    clears: list[Clear] = []

    def verified() -> Iterator[Row]:
        nonlocal end, revision, history_from, untold
        told = end
        for commit in commits(fd, end, size):
            stop = yield from rows(commit)
            footnote = NO_FOOTNOTE
            if stop + 1 < len(commit.body) and (found := read_footnote(commit.body, stop)):
                footnote = found
                note_clears(clears, footnote)
            if commit.ids is not None:
                outcomes.add(commit.ids, footnote.results)
            end, revision = commit.stop, commit.revision
            if commit.time is None:
                history_from = revision
                untold |= commit.start > len(HEADER) and commit.ids is None and commit.body == b"\n"
            if end - told >= _PROGRESS_BYTES:
                told = end
                progress(end, size)

    try:
        index.fill(verified())
    except (ValueError, OverflowError, RecursionError, struct.error) as error:
        raise StoreCorruptError(
            f"The data file {path} has entries behind byte {end} that cannot be read, though their checksum is right: "
            f"{error}. Another program wrote them. Nothing was changed."
        ) from None
    _mend_end(fd, path, end, size, revision)
    if untold:  # somebody may have been told this revision who was not told all that led to it
        revision += 1
        history_from = revision
    return Loaded(end, revision, outcomes.parsed(), clears, history_from)


def _mend_end(fd: int, path: Path, end: int, size: int, revision: int) -> None:
    """Cut a torn tail behind the last commit, which ended at `end` with `revision`; close what is not closed."""
    if damage := damage_at(fd, end, size, revision):
        if not damage.torn:
            raise _corrupt(path, damage)
        log.warning(
            "%s: %s, which a crash left before it was durable; cutting %d bytes behind revision %d",
            path,
            damage,
            size - end,
            revision,
        )
    if damage or pread(fd, len(CLOSING), size - len(CLOSING)) != CLOSING:
        close_at(fd, end, size)
        os.fsync(fd)


def note_clears(clears: list[Clear], footnote: Footnote) -> None:
    """Bring `clears`, those that are not cleared yet, up to date with a commit's footnote."""
    if footnote.clear is not None and footnote.clear not in clears:
        clears.append(footnote.clear)
    if footnote.cleared is not None:
        clears[:] = [clear for clear in clears if clear.revision != footnote.cleared]


def _corrupt(path: Path, damage: Damage) -> StoreCorruptError:
    by_hand = f" If it was edited by hand, it would be taken over but that {damage.flaw}." if damage.flaw else ""
    return StoreCorruptError(
        f"The data file {path} has {damage}. Nothing was changed. "
        f"'kvd check {path}' lists all damage, 'kvd repair {path}' saves what is sound."
        f"{'' if damage.unreadable else by_hand}",
        damage.keys,
    )
