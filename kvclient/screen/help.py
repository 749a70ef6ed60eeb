"""How `--help` is laid out: as wide as the terminal, and with every command's summary in full."""

import sys
from typing import Any

from typer.core import TyperGroup

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": sys.maxsize}
"""For the `context_settings` of a command line. Without the width, help would end at 80 columns on any terminal."""


class Group(TyperGroup):
    """Commands, listed with the first sentence of each one's help. Typer's own list cuts what takes a second line."""

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
