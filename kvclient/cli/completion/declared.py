"""What the scripts know of the command line: each command's options, and what its arguments are. From the commands."""

from collections.abc import Iterator
from typing import Any, NamedTuple

_KINDS = {"KEY": "keys", "PREFIX": "keys", "FILE": "files", "SHELL": "shells"}


class Words(NamedTuple):
    """A command as a shell completes it."""

    name: str
    """With the command that it belongs to: `service start`."""
    summary: str
    options: tuple[str, ...]
    kind: str
    """Of its arguments: keys, files, shells; commands, if others belong to it; empty if they can be anything."""


def declared(command: Any, name: str = "") -> Iterator[Words]:
    """Yield all commands below `command`."""
    for sub in command.list_commands(None):
        below = command.get_command(None, sub)
        full = f"{name} {sub}".strip()
        nested = hasattr(below, "list_commands")
        yield Words(full, below.get_short_help_str(200), _options(below), "commands" if nested else _kind(below))
        if nested:
            yield from declared(below, full)


def _options(command: Any) -> tuple[str, ...]:
    found = [name for each in command.params if each.param_type_name == "option" for name in each.opts]
    return (*(name for name in found if name.startswith("--")), "--help")


def _kind(command: Any) -> str:
    metavars = (each.metavar for each in command.params if each.param_type_name == "argument")
    return next((_KINDS[metavar] for metavar in metavars if metavar in _KINDS), "")
