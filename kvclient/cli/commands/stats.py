"""kvctl stats"""

import sys
from typing import Any

from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.cli.printing import show_line
from kvclient.screen.colour import painted
from kvclient.screen.quantities import bytes_text, duration
from kvclient.screen.text import text_for


def run(options: Options) -> None:
    """Show counters since the daemon started, and its current size. Starts no daemon.

    Example: kvctl stats --json | jq .operations
    """
    stats = options.client(autostart=False).stats()
    if options.json:
        show(stats)
        return
    for name, text in _rows(stats):
        show_line(painted(sys.stdout, f"{name:<12}", "cyan") + text_for(sys.stdout, text), painted=True)


def _rows(stats: dict[str, Any]) -> list[tuple[str, str]]:
    each = stats["committed"] / max(1, stats["commits"])
    sync = 1000 * stats["sync_seconds"] / max(1, stats["commits"])
    return [
        ("up", duration(stats["uptime"])),
        ("operations", _named(stats["operations"])),
        ("refused", _named(stats["errors"])),
        ("reads", f"{stats['hits']:,} found, {stats['misses']:,} not found"),
        ("commits", f"{stats['commits']:,}, {each:.1f} operations and {sync:.2f} ms each"),
        ("compactions", f"{stats['compactions']:,}"),
        ("keys", f"{stats['keys']:,}, {stats['expiring']:,} with a TTL, {stats['ephemeral']:,} ephemeral"),
        ("gone", f"{stats['expired']:,} expired, {stats['released']:,} released"),
        ("revision", f"{stats['revision']:,}"),
        (
            "file",
            f"{bytes_text(stats['file_bytes'])}, a compaction would free {bytes_text(stats['garbage_bytes'])}",
        ),
        ("room", bytes_text(stats["free_bytes"])),
        ("peers", f"{stats['peers']:,}, {stats['watchers']:,} watching; {stats['events']:,} events told"),
    ]


def _named(counts: dict[str, int]) -> str:
    """Return counters by name, the largest first."""
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda each: -each[1])) or "none"
