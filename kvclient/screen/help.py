"""How `--help` is laid out: as wide as the terminal, and with every command's summary in full."""

import re
import sys
from typing import Any

from typer.core import TyperCommand, TyperGroup

from kvclient.screen.colour import coloured, painted

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": sys.maxsize}
"""For the `context_settings` of a command line. Without the width, help would end at 80 columns on any terminal."""


_colours = re.compile(
    r"^(?P<heading>(?:Usage|[A-Z]\w+):(?=$| kv))"
    r"|^  (?P<cyan>--?[a-z][\w-]*(?:, --?[\w-]+)*|[A-Za-z][\w-]*)(?=(?: \S+){0,2}  +\S)"
    r"|(?P<bold>\bExample:)",
    re.MULTILINE,
)
"""Headings, what stands in the left column of a list, and what announces an example."""


def _paint(formatter: Any) -> None:
    """Give what the formatter holds its colours: headings, the names of commands and options, examples."""
    if coloured(sys.stdout):
        formatter.buffer[:] = [_colours.sub(_painted, formatter.getvalue())]


def _painted(found: re.Match[str]) -> str:
    style = found.lastgroup or "bold"
    return found[0].replace(found[style], painted(sys.stdout, found[style], style))


class Command(TyperCommand):
    """A command, whose help has colour."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        super().format_help(ctx, formatter)
        _paint(formatter)


class Group(TyperGroup):
    """Commands, listed with the first sentence of each one's help. Typer's own list cuts what takes a second line."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        super().format_help(ctx, formatter)
        _paint(formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list, grouped by purpose where commands have one (`rich_help_panel`)."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                purpose = getattr(command, "rich_help_panel", None)
                group = groups.setdefault(purpose if isinstance(purpose, str) else "Commands", [])
                group.append((name, command.get_short_help_str(sys.maxsize)))
        longest = max((len(name) for rows in groups.values() for name, _ in rows), default=0)
        for purpose, rows in groups.items():
            with formatter.section(purpose):
                formatter.write_dl([(name.ljust(longest), summary) for name, summary in rows])
