"""kvctl stats"""

import sys
from itertools import accumulate
from typing import Annotated, Any

import typer

from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.cli.printing import show_line
from kvclient.contract.errors import DataStoreError
from kvclient.metrics.asking import ask, source
from kvclient.metrics.text import text
from kvclient.screen.colour import painted
from kvclient.screen.quantities import bytes_text, duration, short_duration
from kvclient.screen.text import text_for
from kvclient.screen.usage import UsageError


def run(
    options: Options,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Print metrics as text for Prometheus; docs/metrics.md has a table.")
    ] = False,
) -> None:
    """Show counters since the daemon started, how long requests took, and its current size. Starts no daemon.

    With --prometheus, kvd_up 0 is printed if no daemon answers or it refuses to tell, and the exit code is that of the
    error all the same, such as 6.

    Example: kvctl stats --json | jq .operations
    """
    if prometheus:
        _show_metrics(options)
        return
    stats = options.client(autostart=False).stats()
    if options.json:
        show(stats)
        return
    for name, row in _rows(stats):
        show_line(painted(sys.stdout, f"{name:<12}", "cyan") + text_for(sys.stdout, row), painted=True)


def _show_metrics(options: Options) -> None:
    if options.json:
        raise UsageError("Give either --prometheus or --json, not both.")
    store, endpoint = source(options.store, options.endpoint)
    try:
        told = ask(endpoint, options.timeout)
    except DataStoreError:
        show_line(text({store: None}).removesuffix("\n"), painted=True)
        raise
    show_line(text({store: told}).removesuffix("\n"), painted=True)


def _rows(stats: dict[str, Any]) -> list[tuple[str, str]]:
    each = stats["committed"] / max(1, stats["commits"])
    sync = 1000 * stats["sync_seconds"] / max(1, stats["commits"])
    return [
        ("up", duration(stats["uptime"])),
        ("operations", _named(stats["operations"])),
        ("refused", _named(stats["errors"])),
        ("reads", f"{stats['hits']:,} found, {stats['misses']:,} not found"),
        ("commits", f"{stats['commits']:,}, {each:.1f} operations and {sync:.2f} ms each"),
        *((f"{name[:-1]} time", _within(stats, name)) for name in stats["latencies"]),
        ("compactions", f"{stats['compactions']:,}, {stats['compaction_seconds']:.1f} s"),
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


def _within(stats: dict[str, Any], name: str) -> str:
    """Return how long half of what was timed took at most, and 99 % of it."""
    counts, bounds = stats["latencies"][name]["counts"], stats["latency_bounds"]
    if not (timed := sum(counts)):
        return "none yet"
    shares = []
    for percent in (50, 99):
        upto = (
            bound for bound, count in zip(bounds, accumulate(counts), strict=False) if 100 * count >= percent * timed
        )
        bound = next(upto, None)
        shares.append(
            f"{percent} % "
            + (f"over {short_duration(bounds[-1])}" if bound is None else f"within {short_duration(bound)}")
        )
    return ", ".join(shares)


def _named(counts: dict[str, int]) -> str:
    """Return counters by name, the largest first."""
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda each: -each[1])) or "none"
