"""What somebody changed in a data file with an editor, `sed` or a script, while nobody had it open.

The checksum of a commit tells that its bytes are not those that were written, not why. What lies between the commits
that are whole is an edit if it is JSON and has the shape of entries: with the commits around it, the file is one valid
JSON object then, and means what any JSON program reads in it. Otherwise it is damage. An edit is only ever taken over
with the original kept and its keys named: a bit that the disk flipped in a digit looks the same.

A crash must not look like an edit. What it leaves of a commit can be JSON, a few whole lines of a batch, say. But a
disk writes whole sectors, and where a commit is to be written there were spaces: see `is_tear`.
"""

import json
from itertools import pairwise
from typing import Any, NamedTuple

from kvclient.contract.errors import DataStoreError
from kvclient.contract.rules import check_key
from kvd.backend.file.engine.conversion import MOST_REVISION, entry_from, refuse_constant
from kvd.backend.file.engine.format import MARKER_START, stated_stop
from kvd.backend.file.engine.interface import Put

_SECTOR = 512


class Edit(NamedTuple):
    """What the bytes between two commits say."""

    changes: dict[str, Put | None]
    """As far as they tell: where one line of a commit was changed, all of its keys."""
    added: list[str]
    """Those that have no revision, so that it was not this program that wrote them."""
    revision: int
    """The highest that is named in them."""


def read_edit(text: bytes, *, first: bool, last: bool) -> Edit | str:
    """Return the edit that `text` is, or what keeps it from being one.

    `first` and `last` tell whether it is the start and the end of the file, and has its braces.
    """
    pairs: list[tuple[str, Any]] = []

    def note(found: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal pairs
        pairs = found  # the outermost object comes last
        return dict(found)

    text = (b"" if first else b'{"":0') + text + (b"" if last else b"}")
    try:
        document = json.loads(text, object_pairs_hook=note, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return "it is not valid JSON there"
    if not isinstance(document, dict):
        return "it is not one JSON object"
    changes: dict[str, Put | None] = {}
    added: dict[str, None] = {}
    revision = 0
    try:
        for key, content in pairs:
            named = content.get("revision") if isinstance(content, dict) else None
            known = isinstance(named, int) and named is not True and 0 < named < MOST_REVISION
            if isinstance(named, int) and known:
                revision = max(revision, named)
            if key == "":
                continue
            for former in (changes, added):
                former.pop(key, None)
            changes[key] = None if content is None else entry_from(check_key(key), content, 1)
            if content is not None and not known:
                added[key] = None
    except DataStoreError as error:
        return str(error).rstrip(".")
    return Edit(changes, list(added), revision)


def is_tear(text: bytes, start: int, position: int) -> bool:
    """Tell whether `text`, which lies at `start` of a file and behind all its commits, can be what a crash left.

    The last commit ends at `position`. A crash leaves each sector of a commit as it was, spaces, or as it was to be.
    So it is none if the first sector behind the last commit holds something else than the start of a marker; nor if
    there is a marker and no sector of what it says that its commit takes is empty.
    """
    marker = MARKER_START[: _SECTOR - start % _SECTOR]
    if not text.startswith(marker):
        return start // _SECTOR != position // _SECTOR
    stop = stated_stop(text, 0)
    if stop is None or stop > len(text):
        return True
    edges = [0, *range(_SECTOR - start % _SECTOR, stop, _SECTOR), stop]
    return any(not text[a:b].strip(b" ") for a, b in pairwise(edges))
