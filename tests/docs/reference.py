"""The reference of the command lines, made from their help: `python tests/docs/reference.py` writes docs/kvctl.md."""

from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

import typer

from kvclient.screen.help import placeholder, row

PATH = Path(__file__).parents[2] / "docs" / "kvctl.md"

_INTRODUCTION = """\
# The commands

The `--help` of every command of `kvctl` and `kvd`, and that of `kvd-exporter`. Data goes to standard output, everything
else to standard error. With `--json`, results and errors are JSON, except for usage errors. `kvctl read` prints a value
indented on a terminal and on one line in a pipe. On a terminal, characters that would control it, change the direction
of writing or stay invisible are shown as JSON escapes.

| exit code | when |
|---|---|
| 0 | done |
| 1 | any other error |
| 2 | usage, invalid JSON, invalid key, value or TTL |
| 3 | KeyNotFoundError |
| 4 | KeyExistsError, RevisionMismatchError; `lock`: held by somebody else |
| 5 | a limit: KeyTooLongError, ValueTooLargeError, BatchTooLargeError, StoreFullError, TooManyWatchersError |
| 6 | no daemon could be reached, or no answer in time |
"""

SCREENS = """\
## What you see

On a terminal, tables use its width, and keys, values and messages have colour unless `NO_COLOR` is set.

```
$ kvctl list
KEY                            VALUE                    REVISION  LIFETIME           OWNER
job:1                          {"state": "waiting"}     1         expires in 4m 12s
key1                           {"name": "value1"}       2
lock:nightly#dd0c65296453c5c8  {"command": "sleep 100…  3                            pid 4711 sleep
$ kvctl read key1
{
  "name": "value1"
}
$ kvctl read kye1
kvctl: Key 'kye1' does not exist, or has expired.
       Did you mean key1?
$ kvctl lock nightly --wait 0 -- ./backup.sh
kvctl: Lock 'nightly' is held by pid 4711 (sleep 1000). Wait longer with --wait SECONDS.
$ kvctl watch --after 0 --once
22:08:40  created   job:1                     {"state": "waiting"}
```
"""
"""Compared with the real ones by tests/kvctl/test_screens.py."""


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the name of a command and the command, and the same of all below it."""
    yield name, command
    for sub, below in sorted(getattr(command, "commands", {}).items()):
        if not below.hidden:
            yield from commands(below, f"{name} {sub}")


def section(name: str, command: Any) -> str:
    """Return what the reference says of one command. (The help's layout is another in each version of Typer.)"""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join([name, *(["[OPTIONS]"] if options else []), *map(placeholder, arguments)])
    parts = [f"## {name}", f"`{usage}`", *cleandoc(command.help or "").split("\n\n")]
    rows = [row(parameter) for parameter in [*arguments, *options]]
    if rows:
        parts.append("\n".join(["| | |", "|---|---|", *(_row(what, text) for what, text in rows)]))
    return "\n\n".join(part.replace("\b\n", "") for part in parts) + "\n"


def _row(what: str, text: str) -> str:
    """Return a row of a table. A bar in it would begin another cell, in code as well."""
    cells = (cell.replace("|", "\\|") for cell in (f"`{what}`", " ".join(text.split())))
    return f"| {' | '.join(cells)} |"


def reference() -> str:
    """Return the reference."""
    from kvclient.cli.app import app as kvctl
    from kvclient.exporter.app import app as exporter
    from kvd.__main__ import app as kvd

    parts = [_INTRODUCTION, SCREENS]
    for app, name in ((kvctl, "kvctl"), (kvd, "kvd"), (exporter, "kvd-exporter")):
        parts += [section(*found) for found in commands(typer.main.get_command(app), name)]
    return "\n".join(parts)


if __name__ == "__main__":
    PATH.write_text(reference())
