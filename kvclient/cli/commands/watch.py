"""kvctl watch"""

import json
import os
import subprocess
import sys
import time
from typing import Annotated

import typer

from kvclient.cli.command import Prefix
from kvclient.cli.options import Options
from kvclient.cli.printing import compact_json, event_fields, event_line, show_line
from kvclient.contract.records import Event
from kvclient.screen.colour import painted
from kvclient.screen.console import complain
from kvclient.screen.text import shown
from kvclient.screen.width import columns, cut, padded, terminal_width

_STYLES = {"created": "green", "updated": "cyan", "deleted": "red", "expired": "magenta", "released": "magenta"}
_LONGEST_KIND = max(map(len, _STYLES))
_KEY_COLUMNS = 24


def run(
    options: Options,
    prefix: Prefix = "",
    after: Annotated[
        int | None, typer.Option(metavar="REVISION", min=0, help="Start with the changes after this revision.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Exit after the first event.")] = False,
    command: Annotated[
        str | None, typer.Option("--exec", metavar="COMMAND", help="Run this in a shell for each event, one at a time.")
    ] = None,
) -> int:
    """Print changes as they happen, one per line: what happened, the key and its new value; with --json, one object per
    line. Runs until Ctrl-C, also through restarts of the daemon.

    With --exec, nothing is printed. The command gets the event as JSON on standard input, and KVD_EVENT_KIND,
    KVD_EVENT_KEY and KVD_EVENT_REVISION in its environment. If it fails, that is reported and the watch continues; with
    --once, kvctl exits with its exit code.

    Example: kvctl watch job: --once --exec 'jq .key'
    """
    with options.client().watch(prefix, after=after) as events:
        for event in events:
            status = _show(event, as_json=options.json) if command is None else _carry_out(command, event)
            if once:
                return status
    return 0


def _show(event: Event, *, as_json: bool) -> int:
    if as_json:
        show_line(compact_json(event_fields(event)), at_once=True)
    elif sys.stdout is not None and sys.stdout.isatty():
        show_line(_row(event), at_once=True, painted=True)
    else:
        show_line(event_line(event), at_once=True)
    return 0


def _row(event: Event) -> str:
    """Return an event as a line of the terminal: time, kind, key, and as much of the value as there is room for."""
    at = time.strftime("%H:%M:%S", time.localtime(event.time))
    kind = painted(sys.stdout, padded(event.kind, _LONGEST_KIND), _STYLES[event.kind])
    key = shown(event.key)
    key += " " * (_KEY_COLUMNS - columns(key))
    value = compact_json(event.value) if event.kind in ("created", "updated") else ""
    room = terminal_width() - len(at) - _LONGEST_KIND - columns(key) - len("  ") * 3
    return f"{at}  {kind}  {key}  {cut(shown(value[: terminal_width()]), max(room, 1))}".rstrip()


def _carry_out(command: str, event: Event) -> int:
    about = {"KIND": event.kind, "KEY": event.key, "REVISION": str(event.revision)}
    status = subprocess.run(
        ["sh", "-c", command],
        input=json.dumps(event_fields(event)) + "\n",
        text=True,
        check=False,
        env={**os.environ, **{f"KVD_EVENT_{name}": value for name, value in about.items()}},
    ).returncode
    if status:
        how = f"exit code {status}" if status > 0 else f"signal {-status}"
        complain(f"kvctl: The command failed for {event.kind} {event.key!r} at revision {event.revision}: {how}.")
    return status if status >= 0 else 128 - status
