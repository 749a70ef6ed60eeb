"""kvctl status"""

import sys
from typing import Any

from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.screen.quantities import bytes_text, duration
from kvclient.screen.text import text_for


def run(options: Options) -> None:
    """Show the daemon's pid, file, size, keys and versions. Starts none.

    Example: kvctl status --json | jq .keys
    """
    status = options.client(autostart=False).status()
    if options.json:
        show(status)
        return
    for name, text in _rows(status):
        print(text_for(sys.stdout, f"{name:<10}{text}"))


def _rows(status: dict[str, Any]) -> list[tuple[str, str]]:
    share = status["live_bytes"] / max(1, status["file_bytes"])
    size = f"{bytes_text(status['file_bytes'])} of {bytes_text(status['max_file_bytes'])}"
    state = ", being compacted" if status["compacting"] else ""
    return [
        ("daemon", f"pid {status['pid']}, up {duration(status['uptime'])}"),
        ("endpoint", status["endpoint"]),
        ("file", status["file"]),
        ("size", f"{size}, {share:.0%} live{state}"),
        ("keys", f"{status['keys']:,}"),
        ("revision", f"{status['revision']:,}"),
        ("sync", status["sync"]),
        ("versions", f"kvd {status['version']}, Python {status['python']}"),
    ]
