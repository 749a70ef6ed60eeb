"""How `--help` is laid out: as wide as the terminal, and with every command's summary in full."""

import sys
from typing import Any

from typer.core import TyperGroup

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": sys.maxsize}
"""For the `context_settings` of a command line. Without the width, help would end at 80 columns on any terminal."""


class Group(TyperGroup):
    """Commands, listed with the first sentence of each one's help. Typer's own list cuts what takes a second line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [
            (name, command.get_short_help_str(sys.maxsize))
            for name, command in commands
            if command is not None and not command.hidden
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
