"""kvctl stores"""

import sys
from typing import Any

from kvclient.cli.options import Options
from kvclient.cli.printing import compact_json, show_line
from kvclient.client.stores import Store, described
from kvclient.screen.colour import painted
from kvclient.screen.console import complain
from kvclient.screen.quantities import bytes_text
from kvclient.screen.text import text_for
from kvclient.screen.width import padded

_ELSEWHERE = "a file that the daemon's settings name"


def run(options: Options) -> None:
    """List your stores with their files, and whether their daemons run. Starts no daemon.

    Example: kvctl stores
    """
    found = described()
    if options.json:
        for store in found:
            show_line(compact_json(_fields(store)))
    elif sys.stdout is not None and sys.stdout.isatty():
        _show_table(found)
    else:
        for store in found:
            show_line(f"{store.name}\t{_state(store)}\t{store.file or ''}")


def _fields(store: Store) -> dict[str, Any]:
    return {
        "store": store.name,
        "endpoint": store.endpoint,
        "file": None if store.file is None else str(store.file),
        "pid": store.pid,
        "listening": store.listening,
    }


def _state(store: Store) -> str:
    if store.pid is not None:
        return f"running, pid {store.pid}"
    return "starts on demand" if store.listening else "not running"


def _size(store: Store) -> str:
    try:
        return "" if store.file is None else bytes_text(store.file.stat().st_size)
    except OSError:
        return ""


def _show_table(found: list[Store]) -> None:
    if not found:
        complain("There are no stores yet. Creating a key creates its store: kvctl create key1 1")
        return
    rows = [("STORE", "DAEMON", "SIZE", "FILE")]
    rows += [(store.name, _state(store), _size(store), str(store.file or _ELSEWHERE)) for store in found]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for place, row in enumerate(rows):
        cells = [padded(text, width) for text, width in zip(row, widths, strict=False)]
        styles = ("bold",) * 3 if place == 0 else ("cyan", "green" if row[1].startswith("running") else "", "")
        shown = [painted(sys.stdout, cell, style) if style else cell for cell, style in zip(cells, styles, strict=True)]
        last = text_for(sys.stdout, row[3])
        show_line("  ".join([*shown, painted(sys.stdout, last, "bold") if place == 0 else last]), painted=True)
