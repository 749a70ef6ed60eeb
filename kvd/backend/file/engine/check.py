"""Examining a data file without changing it: every commit verified, every damaged or suspicious place named.

This is also what the test suite asks after each crash.
"""

import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kvclient.contract.errors import StoreCorruptError
from kvclient.contract.holder import running_holder
from kvd.backend.file.engine.conversion import plain_entries
from kvd.backend.file.engine.footnote import NO_FOOTNOTE, Footnote, read_footnote, removals, split_results
from kvd.backend.file.engine.format import Found, entries, unread
from kvd.backend.file.engine.interface import LOST, Clear, Entry, Put
from kvd.backend.file.engine.load import note_clears
from kvd.backend.file.engine.scan import Damage, is_ours, line_of, walk

# While a daemon writes, the end of the file may look damaged for a moment: then it is looked at again.
_SECOND_LOOKS, _SECOND_LOOK_SECONDS = 40, 0.05


class Gap(NamedTuple):
    """Damage, and what stands around it."""

    damage: Damage
    after: int
    """Revision before it; 0 at the start of the file."""
    before: int | None
    """Revision of the commit after it; None at the end of the file."""

    @property
    def unacknowledged(self) -> bool:
        """Whether it is but the torn tail that a crash left."""
        return self.damage.torn and self.before is None

    @property
    def may_have_changed_keys(self) -> bool:
        """Whether commits are lost that may have changed or deleted keys. Those of a compaction only add them."""
        if self.unacknowledged or self.damage.edit is not None:
            return False
        return self.after > 0 and (self.before is None or self.before > self.after)

    def __str__(self) -> str:
        if self.unacknowledged:
            return f"{self.damage}, behind revision {self.after}: a crash left it, and it was never acknowledged"
        if self.damage.edit is not None:
            return str(self.damage)
        if self.before is None:
            return f"{self.damage}: all after revision {self.after} is lost"
        if self.before <= self.after:
            return f"{self.damage}: a part of what was compacted at revision {self.after}"
        return f"{self.damage}: between revision {self.after} and revision {self.before}"


class Changed(NamedTuple):
    """Keys that somebody changed in the file, as far as it tells. The last change of each counts."""

    edited: list[str]
    """In a commit whose checksum does not fit any more; those beside the edited line are among them."""
    added: list[str]
    removed: list[str]
    """Set to null. A line that was taken out leaves no trace."""

    def __str__(self) -> str:
        told = [f"{what} {some(keys)}" for what, keys in self._asdict().items() if keys]
        return "; ".join(told) or "no key, but records of the file's own"


@dataclass
class Report:
    """What was found in a file."""

    path: Path
    size: int
    plain_keys: int | None = None
    """Keys of a plain JSON file, which is converted when it is opened; None for a data file."""
    keys: dict[str, int] = field(default_factory=dict)
    """Live keys with the offset of the commit that has them, expired ones included."""
    removed: dict[str, int] = field(default_factory=dict)
    """Keys that were removed behind damage, with the offset of the commit that did it."""
    commits: int = 0
    revision: int = 0
    clears: list[Clear] = field(default_factory=list)
    """Removals that are decided, and not written down for all keys."""
    gaps: list[Gap] = field(default_factory=list)
    suspicious: list[str] = field(default_factory=list)
    """Places that are whole, and yet not as this program would have written them. No reason to repair."""
    open_in: int | None = None
    """Pid of the process that has the file open."""

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.gaps

    @property
    def edited(self) -> bool:
        """Whether all that does not fit its checksums is valid JSON: then the file loses nothing when it is opened.

        What a crash left of a commit does not count.
        """
        edits = [gap.damage.edit is not None for gap in self.gaps if not gap.unacknowledged]
        return bool(edits) and all(edits)

    def changed(self) -> Changed:
        """Return the keys that the edits of a file name, if it is `edited`."""
        changes: dict[str, Put | None] = {}
        added: set[str] = set()
        for gap in self.gaps:
            if (edit := gap.damage.edit) is not None:
                changes |= edit.changes
                added = added - edit.changes.keys() | set(edit.added)
        there = [key for key, put in changes.items() if put is not None]
        return Changed(
            [key for key in there if key not in added],
            [key for key in there if key in added],
            [key for key, put in changes.items() if put is None],
        )

    def doubtful(self) -> list[str]:
        """Return the keys that a lost commit may have changed or deleted, so that an older value may be back."""
        last = max((gap.damage.start for gap in self.gaps if gap.may_have_changed_keys), default=0)
        return [key for key, start in self.keys.items() if start < last]

    def as_json(self) -> dict[str, Any]:
        """Return the report for a program."""
        return {
            "file": str(self.path),
            "kind": "data file" if self.plain_keys is None else "plain JSON",
            "sound": self.sound,
            "bytes": self.size,
            "keys": len(self.keys) if self.plain_keys is None else self.plain_keys,
            "commits": self.commits,
            "revision": self.revision,
            "open_in": self.open_in,
            "changed_from_outside": self.changed()._asdict() if self.edited else None,
            "damage": [
                {
                    "start": gap.damage.start,
                    "stop": gap.damage.stop,
                    "line": gap.damage.line,
                    "torn": gap.damage.torn,
                    "after_revision": gap.after,
                    "before_revision": gap.before,
                    "keys": gap.damage.keys,
                    "unreadable": gap.damage.unreadable,
                }
                for gap in self.gaps
            ],
            "suspicious": self.suspicious,
        }


def check(path: Path) -> Report:
    """Examine the file at `path`. Reads only, and may be called while a daemon has it open.

    Raises `StoreCorruptError` if it is no data file, and `OSError` if it cannot be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return examine(fd, path)
    finally:
        os.close(fd)


def examine(fd: int, path: Path) -> Report:
    """Examine an open file."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise StoreCorruptError(f"{path} is not a regular file.")
    holder = running_holder(path)
    report = Report(path, os.fstat(fd).st_size, open_in=holder.pid if holder and holder.pid != os.getpid() else None)
    if not is_ours(fd, path):
        report.plain_keys = len(plain_entries(os.pread(fd, report.size, 0), path))
        return report
    for found, after in _look(fd, report):
        if isinstance(found, Damage):
            report.gaps.append(Gap(found, after, None))
            continue
        if report.gaps and report.gaps[-1].before is None:
            report.gaps[-1] = report.gaps[-1]._replace(before=found.revision)
        _take(fd, found, report)
    if report.edited:
        _apply_edits(report)
    return report


def _apply_edits(report: Report) -> None:
    for gap in report.gaps:
        for key, put in gap.damage.edit.changes.items() if gap.damage.edit is not None else ():
            if max(report.keys.get(key, 0), report.removed.get(key, 0)) > gap.damage.start:
                continue  # a later commit counts
            if put is None:
                report.keys.pop(key, None)
            else:
                report.keys[key] = gap.damage.start


def _look(fd: int, report: Report) -> Iterator[tuple[Found | Damage, int]]:
    """Yield what `walk` does, with the revision before it.

    What looks damaged while somebody writes is looked at again.
    """
    looks = _SECOND_LOOKS if report.open_in is not None else 0
    position = 0
    while True:
        torn = None
        for found in walk(fd, report.size, position, report.revision):
            if isinstance(found, Damage) and looks > 0:
                torn = found
                break
            yield found, report.revision
            if isinstance(found, Found):
                position = found.stop
        if torn is None:
            return
        looks -= 1
        time.sleep(_SECOND_LOOK_SECONDS)
        report.size = os.fstat(fd).st_size


def _take(fd: int, commit: Found, report: Report) -> None:
    report.commits += 1
    if commit.revision < report.revision:
        report.suspicious.append(f"{_place(fd, commit.start)}: revision {commit.revision} after {report.revision}")
    if unread(commit):
        report.suspicious.append(f"{_place(fd, commit.start)}: a commit with bytes that are no entry")
    report.revision = max(report.revision, commit.revision)
    try:
        changes = list(entries(commit))
        footnote = read_footnote(commit.body) or NO_FOOTNOTE
        doubts = list(_doubts(commit, footnote, changes, report.clears))
    except (ValueError, OverflowError, RecursionError) as error:
        report.suspicious.append(f"{_place(fd, commit.start)}: a commit with entries that cannot be read: {error}")
        return
    report.suspicious += [f"{_place(fd, commit.start)}: {doubt}" for doubt in doubts]
    note_clears(report.clears, footnote)
    for key, entry in changes:
        if entry is None:
            report.keys.pop(key, None)
            if report.gaps:
                report.removed[key] = commit.start
            continue
        report.keys[key] = commit.start
        at = entry.address - commit.body_at
        try:
            json.loads(commit.body[at : at + entry.length])
        except (ValueError, RecursionError) as error:
            report.suspicious.append(f"{_place(fd, entry.address)}: the value of {key!r} is not JSON: {error}")


def _doubts(
    commit: Found, footnote: Footnote, changes: list[tuple[str, Entry | None]], clears: list[Clear]
) -> Iterator[str]:
    """Yield what in a commit does not fit together."""
    removed = removals(footnote, sum(entry is None for _, entry in changes), commit.revision)
    latest = max([entry.revision for _, entry in changes if entry is not None] + [at for at, _ in removed], default=0)
    if latest > commit.revision:
        yield f"a change of revision {latest} in a commit of revision {commit.revision}"
    if footnote.clear is not None and footnote.clear.revision > commit.revision:
        yield f"a clear of revision {footnote.clear.revision} in a commit of revision {commit.revision}"
    if footnote.cleared is not None and footnote.cleared not in [clear.revision for clear in clears]:
        yield f"the end of a clear of revision {footnote.cleared}, which no commit before it has begun"
    clients = json.loads(commit.ids or b"{}").keys()
    for name, fields in split_results(footnote.results):
        if (client := json.loads(name)) not in clients:
            yield f"a result for client {client!r}, of which the commit has no request"
        if fields != LOST:
            json.loads(b"{%s}" % fields)


_SHOWN = 20


def some(keys: list[str]) -> str:
    """Return the first of many keys, for a person."""
    shown = ", ".join(map(repr, keys[:_SHOWN]))
    return shown if len(keys) <= _SHOWN else f"{shown} … and {len(keys) - _SHOWN} more (--json lists all)"


def _place(fd: int, position: int) -> str:
    return f"byte {position} (line {line_of(fd, position)})"
