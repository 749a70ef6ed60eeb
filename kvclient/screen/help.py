"""How `--help` is laid out: as wide as the terminal, the same with every version of Typer, each summary in full."""

import re
import sys
from collections.abc import Iterator
from typing import Any

from typer.core import TyperCommand, TyperGroup

from kvclient.screen.colour import coloured, painted
from kvclient.screen.usage import UsageError, no_such_option

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": sys.maxsize}
"""For the `context_settings` of a command line. Without the width, help would end at 80 columns on any terminal."""

_is_negative_number = re.compile(r"-(\.?\d.*|inf(inity)?|nan)", re.IGNORECASE).fullmatch


_colours = re.compile(
    r"^(?P<bold>(?:Usage|[A-Z]\w+):(?=$| kv))"
    r"|^  (?P<cyan>--?[a-z][\w-]*(?:, --?[\w-]+)*(?=(?: \S+){0,2}(?:  +\S|$))|[A-Za-z][\w-]*(?=(?: \S+){0,2}  +\S))"
    r"|\b(?P<example>Example:)",
    re.MULTILINE,
)
"""Headings, what stands in the left column of a list, and what announces an example."""


def _paint(formatter: Any) -> None:
    """Give what the formatter holds its colours: headings, the names of commands and options, examples."""
    if coloured(sys.stdout):
        formatter.buffer[:] = [_colours.sub(_painted, formatter.getvalue())]


def _painted(found: re.Match[str]) -> str:
    style = found.lastgroup or "bold"
    if style == "example":
        return painted(sys.stdout, found[0], "bold")
    return found[0].replace(found[style], painted(sys.stdout, found[style], style))


def placeholder(argument: Any) -> str:
    """Return how an argument stands in the usage: `KEY`, `KEY...`, `[VALUE]`."""
    name = _metavar(argument) + ("..." if argument.nargs < 0 else "")
    return name if argument.required else f"[{name}]"


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _default(parameter: Any) -> str:
    """Return what counts if a parameter is not given, as it would be typed; an empty string if that is nothing."""
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    default = parameter.default
    if default in (None, "") or isinstance(default, bool) or not parameter.show_default:
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default)


def row(parameter: Any) -> tuple[str, str]:
    """Return the line of a parameter: what to type, and what it does, with the default if there is one."""
    if parameter.param_type_name == "argument":
        name = _metavar(parameter)
    else:
        name = ", ".join(sorted(parameter.opts, key=len))
        name += "" if parameter.is_flag or parameter.count else f" {_metavar(parameter)}"
    default = _default(parameter)
    return name, f"{parameter.help}{f' [default: {default}]' if default else ''}"


def _write_options(command: Any, ctx: Any, formatter: Any) -> None:
    for title, kind in (("Arguments", "argument"), ("Options", "option")):
        shown = [each for each in command.get_params(ctx) if each.param_type_name == kind and not each.hidden]
        if rows := [row(each) for each in shown]:
            with formatter.section(title):
                formatter.write_dl(rows)


class Command(TyperCommand):
    """A command. What looks like an option and is none is refused, before anything is done."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        super().format_help(ctx, formatter)
        _paint(formatter)

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the line of usage."""
        arguments = [placeholder(each) for each in self.params if each.param_type_name == "argument"]
        formatter.write_usage(ctx.command_path, " ".join(["[OPTIONS]", *arguments]))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the lists of arguments and options."""
        _write_options(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line. Raises `UsageError` for an option that there is not.

        Typer takes `-hash` for `-h`, and where negative numbers are arguments, anything with a dash for an argument.
        """
        for word in self._unknown_options(ctx, args):
            raise UsageError(no_such_option(word, ctx), ctx=ctx)
        return super().parse_args(ctx, args)

    def _unknown_options(self, ctx: Any, args: list[str]) -> Iterator[str]:
        options: dict[str, Any] = {
            name: each for each in self.get_params(ctx) for name in each.opts if name.startswith("-")
        }
        words = iter(args)
        for word in words:
            if word == "--":
                return
            if not word.startswith("-") or word == "-" or (ctx.ignore_unknown_options and _is_negative_number(word)):
                continue
            name, equals, _ = word.partition("=")
            option, rest = options.get(name), equals
            if option is None and not word.startswith("--"):  # -n5; but -hash is not -h
                option, rest = options.get(word[:2]), word[2:]
                option = None if option is not None and option.is_flag else option
            if option is None:
                yield word
            elif not rest and not option.is_flag:
                next(words, None)


class Group(TyperGroup):
    """Commands, listed with the first sentence of each one's help. Typer's own list cuts what takes a second line."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        super().format_help(ctx, formatter)
        _paint(formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the lists of options and commands."""
        _write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

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
