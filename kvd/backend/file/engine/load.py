"""Opening a data file: every commit verified, the index built, a torn tail cut."""

import json
import logging
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from kvclient.contract.errors import StoreCorruptError
from kvd.backend.file.engine.format import CLOSING, HEADER, Row, rows
from kvd.backend.file.engine.index import Index
from kvd.backend.file.engine.reading import pread
from kvd.backend.file.engine.scan import Damage, commits, damage_at, has_header
from kvd.backend.file.engine.snapshot import close_at

log = logging.getLogger(__name__)

# Outcomes are collected unparsed; of more clients than this, those that were heard of last.
_MOST_OUTCOMES = 8192

Progress = Callable[[int, int], None]
"""Is called with the bytes that were read and those that there are."""
_PROGRESS_BYTES = 4 << 20


class Loaded(NamedTuple):
    """What is known of a file besides its index."""

    end: int
    """Offset behind the last commit."""
    revision: int
    outcomes: dict[str, tuple[int, int]]
    """Client → number and revision of its latest request, the latest client last."""


def load(fd: int, path: Path, index: Index, progress: Progress) -> Loaded:
    """Fill `index` from the file. Cuts a torn tail; raises `StoreCorruptError` if there is damage before it."""
    size = os.fstat(fd).st_size
    if not has_header(fd):
        damage = damage_at(fd, 0, size, 0)
        assert damage is not None
        raise _corrupt(path, damage)
    end, revision = len(HEADER), 0
    outcomes = Outcomes()

    def verified() -> Iterator[Row]:
        nonlocal end, revision
        told = end
        for commit in commits(fd, end, size):
            yield from rows(commit)
            if commit.ids is not None:
                outcomes.add(commit.ids)
            end, revision = commit.stop, commit.revision
            if end - told >= _PROGRESS_BYTES:
                told = end
                progress(end, size)

    try:
        index.fill(verified())
    except (ValueError, OverflowError, struct.error) as error:
        raise StoreCorruptError(
            f"The data file {path} has entries behind byte {end} that cannot be read, though their checksum is right: "
            f"{error}. Another program wrote them. Nothing was changed."
        ) from None
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
    return Loaded(end, revision, outcomes.parsed())


def _corrupt(path: Path, damage: Damage) -> StoreCorruptError:
    by_hand = f" If it was edited by hand, it would be taken over but that {damage.flaw}." if damage.flaw else ""
    return StoreCorruptError(
        f"The data file {path} has {damage}. Nothing was changed. "
        f"'kvd check {path}' lists all damage, 'kvd repair {path}' saves what is sound."
        f"{'' if damage.unreadable else by_hand}",
        damage.keys,
    )


class Outcomes:
    """The latest `ids` of each client. Parsing a million of them would take seconds, so most are only sorted out."""

    def __init__(self) -> None:
        self._latest: dict[bytes, bytes] = {}

    def add(self, ids: bytes) -> None:
        """Take note of a commit's `ids`."""
        if b"]," in ids:
            for client, outcome in json.loads(ids).items():
                self._set(json.dumps(client, ensure_ascii=False).encode(), b"%d,%d" % tuple(outcome))
        else:
            client, _, outcome = ids[1:-2].rpartition(b":[")
            self._set(client, outcome)

    def _set(self, client: bytes, outcome: bytes) -> None:
        self._latest.pop(client, None)
        self._latest[client] = outcome
        if len(self._latest) > 2 * _MOST_OUTCOMES:
            self._latest = dict(list(self._latest.items())[-_MOST_OUTCOMES:])

    def parsed(self) -> dict[str, tuple[int, int]]:
        """Return them as `Loaded.outcomes` has them."""
        found = {}
        for client, outcome in self._latest.items():
            number, _, revision = outcome.partition(b",")
            found[json.loads(client)] = (int(number), int(revision))
        return found
