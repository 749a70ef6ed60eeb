"""What scripts run most, in a third of the time that Typer would take. All that is not just that is left to Typer."""

from collections.abc import Callable
from functools import partial

_SEPARATOR = "--"
COMPLETE = "_complete"
"""What completion scripts call: `kvctl _complete keys WORD LINE…`."""


def of(arguments: list[str]) -> Callable[[], int] | None:
    """Return what carries out this command line, None if that is left to Typer."""
    if len(arguments) == 2 and arguments[0] == "read" and not arguments[1].startswith("-"):
        from kvclient.cli import reading
        from kvclient.cli.options import Options

        return partial(reading.run, Options(), arguments[1:])
    if len(arguments) > 3 and arguments[0] == "lock" and _SEPARATOR in arguments:
        return _lock(arguments[1:])
    if len(arguments) > 2 and arguments[0] == COMPLETE:
        from kvclient.cli.completion import words

        return partial(words.run, arguments[1], arguments[2], arguments[3:])
    return None


def _lock(arguments: list[str]) -> Callable[[], int] | None:
    """Take `NAME [--wait SECONDS] -- COMMAND…`."""
    end = arguments.index(_SEPARATOR)
    (name, *rest), command = arguments[:end] or [""], arguments[end + 1 :]
    if not command or not name or name.startswith("-"):
        return None
    wait = None
    if rest:
        if len(rest) != 2 or rest[0] != "--wait" or not rest[1].replace(".", "", 1).isdecimal():
            return None
        wait = float(rest[1])
    from kvclient.cli import locking
    from kvclient.cli.options import Options

    return partial(locking.run, Options(), name, command, wait=wait)
