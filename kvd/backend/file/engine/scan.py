"""Reading a data file from front to back: its commits, and the damage between them.

The rule by which a torn tail is told from damage: a commit is written only when those before it are durable, or says
in `synced` up to which revision they are. So bytes that are no whole commit, with no commit behind them that proves
otherwise, were never acknowledged as durable: they are what a crash left of a write. With such a commit behind them
they once were whole, and are damaged. So were those in a file that ends as only a clean close, or a compaction, leaves
one: all in it was durable before. And what is valid JSON, but for what a crash can leave, was changed by somebody
(`kvd.backend.file.engine.edits`).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kvclient.contract.errors import StoreCorruptError
from kvd.backend.file.engine.edits import Edit, is_tear, read_edit
from kvd.backend.file.engine.format import (
    CLOSING,
    HEADER,
    HEADERS,
    VERSION,
    Found,
    find_commit,
    header_version,
    is_closed,
    line_marker,
    readable_keys,
    stated_stop,
)
from kvd.backend.file.engine.reading import pread, unreadable

_CHUNK = 4 << 20
_LONGEST_MARKER = 1 << 20  # a page of spaces before it, and the outcomes of every client in it


class Damage(NamedTuple):
    """Bytes of a file that are no whole commit."""

    start: int
    stop: int
    line: int
    """Of `start`, counted from 1."""
    torn: bool
    """Whether it is the unacknowledged end of a file that a crash left."""
    keys: list[str]
    """Keys that can be read in it."""
    edit: Edit | None = None
    """What it says, if it is valid JSON: then somebody changed it, or a disk did in a way that nobody can tell."""
    flaw: str = ""
    """Why it is no edit."""
    unreadable: tuple[int, int] | None = None
    """From where to where in it there are bytes that the disk cannot read."""

    def __str__(self) -> str:
        if self.edit is not None:
            what = f", {_some(list(self.edit.changes))}" if self.edit.changes else ", no key"
            return f"changed from outside at byte {self.start} (line {self.line}), {self.stop - self.start} bytes{what}"
        if self.start == self.stop:
            return f"no closing brace at byte {self.start} (line {self.line})"
        what = "an unfinished commit" if self.torn else "damage"
        if self.unreadable is not None:
            first, stop = self.unreadable
            what = f"bytes {first} to {stop - 1} that the disk cannot read (Input/output error), and so damage"
        about = f", around {_some(self.keys)}" if self.keys else ""
        return f"{what} at byte {self.start} (line {self.line}), {self.stop - self.start} bytes{about}"


def _some(keys: list[str]) -> str:
    return ", ".join(map(repr, keys[:5])) + (", …" if len(keys) > 5 else "")


def commits(fd: int, start: int, size: int, chunk: int = _CHUNK) -> Iterator[Found]:
    """Yield the whole commits from offset `start` on, up to the first bytes that are none.

    Reads `chunk` bytes at a time, or what a commit has.
    """
    data, base, position = b"", start, 0
    while True:
        found = find_commit(data, position, base)
        if isinstance(found, Found):
            yield found
            position = found.stop - base
            continue
        end = base + len(data)
        needed = position + _LONGEST_MARKER if found is None else found
        if needed <= len(data) or end >= size or (found is not None and base + found > size):
            return
        more = pread(fd, min(max(chunk, needed - len(data)), size - end), end)
        if not more:  # another program cut the file
            return
        data = data[position:] + more
        base, position = base + position, 0


def walk(fd: int, size: int, position: int = 0, revision: int = 0) -> Iterator[Found | Damage]:
    """Yield all whole commits of a file and all damage between them, in their order.

    To begin elsewhere than at the start, give the end of a commit and its revision.
    """
    if position == 0 and has_header(fd):
        position = len(HEADER)
    elif position == 0:
        head = damage_at(fd, 0, size, 0)
        if head is None:
            return
        yield head
        position = head.stop
    while True:
        for commit in commits(fd, position, size):
            yield commit
            position, revision = commit.stop, commit.revision
        damage = damage_at(fd, position, size, revision)
        if damage is None:
            return
        yield damage
        if damage.stop >= size:
            return
        position = damage.stop


def has_header(fd: int) -> bool:
    """Tell whether the file begins as a data file does, of any version that can be read."""
    return pread(fd, len(HEADER), 0) in HEADERS


def is_ours(fd: int, path: Path) -> bool:
    """Tell whether the file is or was a data file, its header perhaps damaged.

    Raises `StoreCorruptError` if it is one in a format that a later version of this program writes, and `OSError` if
    it cannot be read and so nothing be told.
    """
    version = header_version(pread(fd, 2 * len(HEADER), 0))
    if version is not None and version not in HEADERS.values():
        raise StoreCorruptError(
            f"{path} is a data file in format {version}, which another version of kvd wrote; "
            f"this one reads formats up to {VERSION}."
        )
    if version is not None or _next_commit(fd, 0, os.fstat(fd).st_size) is not None:
        return True
    os.pread(fd, 2 * len(HEADER), 0)
    return False


def damage_at(fd: int, position: int, size: int, revision: int) -> Damage | None:
    """Judge what follows the last whole commit, which ended at `position` with `revision`; None: the end of the file.

    If more commits follow, the damage stops where they start.
    """
    start = _skip_spaces(fd, position, size)
    rest = pread(fd, min(size - start, _CHUNK), start)
    if start + len(rest) == size and is_closed(rest):
        return None
    following = _next_commit(fd, position, size)
    stop = following.start if following is not None else size
    proof = following
    while proof is not None and proof.synced is not None and proof.synced <= revision:
        proof = _next_commit(fd, proof.stop, size)
    text = pread(fd, stop - start, start)
    edit = read_edit(text, first=position == 0, last=stop == size)
    torn = (
        position > 0  # a file comes into being whole
        and proof is None
        and not _was_closed(fd, size)
        and (isinstance(edit, str) or is_tear(text, start, position))
    )
    damage = Damage(start, stop, line_of(fd, start), torn, readable_keys(text))
    if isinstance(edit, str):
        hole = unreadable(fd, start, stop) if bytes(1) in text else None
        if hole is not None:  # no crash leaves that, and nothing of it is ever cut
            return damage._replace(torn=False, flaw="the disk cannot read it", unreadable=hole)
        return damage._replace(flaw=edit)
    return damage if torn else damage._replace(edit=edit, keys=list(edit.changes))


def _skip_spaces(fd: int, position: int, size: int) -> int:
    while position < size:
        data = pread(fd, min(size - position, _CHUNK), position)
        if rest := data.lstrip(b" \n"):
            return position + len(data) - len(rest)
        position += len(data)
    return size


def _was_closed(fd: int, size: int) -> bool:
    """Tell whether the file ends as one does that is not open."""
    end = b"\n" + CLOSING
    return pread(fd, len(end), max(0, size - len(end))) == end


def _next_commit(fd: int, position: int, size: int) -> Found | None:
    """Return the first whole commit at or behind `position`.

    Behind damage that is one that starts on a new line, or where the damaged one (at the start: the header) should have
    ended: its newline may be what is damaged.
    """
    if found := next(commits(fd, position, size), None):
        return found
    stop = stated_stop(pread(fd, min(_LONGEST_MARKER, size - position), position), 0) if position > 0 else len(HEADER)
    stated = next(commits(fd, position + stop, size), None) if stop is not None else None
    on_a_line = _commit_on_a_line(fd, position, size)
    return min(filter(None, (stated, on_a_line)), default=None)


def _commit_on_a_line(fd: int, position: int, size: int) -> Found | None:
    base = position
    while base < size:
        data = pread(fd, min(_CHUNK, size - base), base)
        for match in line_marker.finditer(data):
            if found := next(commits(fd, base + match.end(), size), None):
                return found
        if base + len(data) >= size:
            return None
        # A marker's line may begin in this chunk and end in the next; a page of spaces is the most before it.
        base += max(1, len(data) - 3 * 4096)
    return None


def line_of(fd: int, position: int) -> int:
    """Return the line of a place, counted from 1."""
    count = 1
    for base in range(0, position, _CHUNK):
        count += pread(fd, min(_CHUNK, position - base), base).count(b"\n")
    return count
