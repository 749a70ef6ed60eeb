"""kvctl status"""

import sys
from typing import Any

from kvclient.cli import unheard
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.cli.printing import show_line
from kvclient.screen.colour import painted
from kvclient.screen.console import complain
from kvclient.screen.quantities import bytes_text, counted, duration
from kvclient.screen.text import text_for

_REFUSING = "REFUSING"


def run(options: Options) -> int:
    """Show the daemon's pid, file, size, keys, limits and versions, and settings that need a restart. Starts no daemon.

    Exit code 1 if all writes are refused, because another program changed the data file.

    Example: kvctl status --json | jq .keys
    """
    status = options.client(autostart=False).status()
    if options.json:
        show(status)
    else:
        for name, text in _rows(status):
            label = painted(sys.stdout, f"{name:<10}", "failure" if name == _REFUSING else "cyan")
            show_line(label + text_for(sys.stdout, text), painted=True)
    for told in unheard.by(status):
        complain(f"kvctl: {told}")
    return 1 if status.get("refusing") else 0


def _rows(status: dict[str, Any]) -> list[tuple[str, str]]:
    share = status["live_bytes"] / max(1, status["file_bytes"])
    size = f"{bytes_text(status['file_bytes'])} of {bytes_text(status['max_file_bytes'])}"
    state = ", being compacted" if status["compacting"] else ""
    return [
        *([(_REFUSING, f"all writes: {status['refusing']}")] if status.get("refusing") else []),
        ("daemon", f"pid {status['pid']}, up {duration(status['uptime'])}"),
        ("endpoint", status["endpoint"]),
        *([("network", status["network"])] if "network" in status else []),
        ("file", status["file"]),
        ("size", f"{size}, {share:.0%} live{state}"),
        ("keys", f"{status['keys']:,}"),
        ("revision", f"{status['revision']:,}"),
        ("sync", status["sync"]),
        ("backend", status["backend"]),
        ("peers", f"{status['peers']:,}, {counted(status['watchers'], 'watch', 'watches')} waiting"),
        *([("reads", _shared(status["shared_reads"]))] if "shared_reads" in status else []),
        *_limits(status.get("limits", {})),
        *_restart(status),
        ("versions", f"kvd {status['version']}, Python {status['python']}"),
    ]


def _shared(state: Any) -> str:
    """Return whether other processes read from shared memory: true, false, or why not."""
    return {True: "shared with other processes", False: "over the socket"}.get(state, str(state))


def _limits(limits: dict[str, int]) -> list[tuple[str, str]]:
    """Return a row for each limit in force: a number that can be searched for, and for bytes what it comes to."""
    return [
        ("limits" if first else "", f"{name} {value}{f' ({bytes_text(value)})' if name.endswith('_bytes') else ''}")
        for first, (name, value) in zip([True] + [False] * len(limits), limits.items(), strict=False)
    ]


def _restart(status: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what was changed in the settings since the daemon took them."""
    rows = [f"needed for {name} = {value}" for name, value in status.get("restart_needed", {}).items()]
    if "reload_needed" in status:
        rows.append(f"not needed for {', '.join(status['reload_needed'])}: a reload is enough (docs/rights.md)")
    if "settings_error" in status:
        rows.append(f"would fail: {status['settings_error']}")
    return [("restart", text) for text in rows]
