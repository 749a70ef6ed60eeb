"""Keys as a table for a person: as wide as the terminal, a page at a time, in as much memory as a page needs."""

import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice

from kvclient.cli.printing import compact_json, show_line
from kvclient.contract.records import Entry
from kvclient.screen.colour import painted
from kvclient.screen.quantities import remaining
from kvclient.screen.text import shown
from kvclient.screen.width import columns, cut, padded, terminal_width

_PAGE = 1000
_GAP = "  "
_LEAST = 12
"""Columns that key and value get each, however narrow the terminal is."""

_Row = tuple[str, str, str, str, str]
_HEADINGS: _Row = ("KEY", "VALUE", "REVISION", "LIFETIME", "OWNER")
_STYLES = ("cyan", "", "", "", "magenta")


def show_table(entries: Iterable[Entry]) -> int:
    """Print entries as they come, and return how many there were. Columns that nothing is in are left out."""
    iterator, count = iter(entries), 0
    headed: tuple[bool, ...] = ()
    while page := list(islice(iterator, _PAGE)):
        rows = [_row(entry) for entry in page]
        widths = _widths(rows, headed)
        if (there := tuple(width > 0 for width in widths)) != headed:
            show_line(_line(_HEADINGS, widths, ("bold",) * len(_HEADINGS)), painted=True)
            headed = there
        for row in rows:
            show_line(_line(row, widths, _STYLES), painted=True)
        count += len(page)
    return count


def _row(entry: Entry) -> _Row:
    expires = "" if entry.expires_at is None else f"expires in {remaining(entry.expires_at - time.time())}"
    owner = "" if entry.owner is None else _owner(entry.owner.pid)
    # More of a value than this is never seen; cut first, since counting columns takes time.
    value = compact_json(entry.value)[: terminal_width()]
    return shown(entry.key), shown(value), str(entry.revision), expires, owner


def _owner(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="backslashreplace") as file:
            return cut(f"pid {pid} {shown(file.read().strip())}", max(_LEAST, terminal_width() // 5))
    except OSError:
        return f"pid {pid}"


def _widths(rows: list[_Row], before: tuple[bool, ...]) -> list[int]:
    """Return the columns' widths, 0 for one that is left out. The key has two thirds at most."""
    longest = [max(columns(row[place]) for row in rows) for place in range(len(_HEADINGS))]
    widths = [
        max(width, len(heading)) if width or (before and before[place]) else 0
        for place, (width, heading) in enumerate(zip(longest, _HEADINGS, strict=True))
    ]
    others = sum(width + len(_GAP) for width in widths[2:] if width)
    room = max(terminal_width() - others - len(_GAP), 2 * _LEAST)
    widths[0] = min(widths[0], room - min(widths[1], max(_LEAST, room // 3)))
    widths[1] = min(widths[1], room - widths[0])
    return widths


def _line(row: Iterable[str], widths: list[int], styles: Iterable[str]) -> str:
    cells = list(_cells(row, widths, styles))
    return _GAP.join(cells).rstrip()


def _cells(row: Iterable[str], widths: list[int], styles: Iterable[str]) -> Iterator[str]:
    for text, width, style in zip(row, widths, styles, strict=True):
        if width:
            cell = padded(text, width)
            bare = cell.rstrip()
            yield (painted(sys.stdout, bare, style) if style else bare) + cell[len(bare) :]
