"""What is wrong with a command line: one line that says it, and on a terminal the usage below it.

Typer's own messages name Python's types and the parts of its parser.
"""

import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import typer

from kvclient.screen.console import complain

EXIT_CODE = 2
_ABORTED = 1
_Refused: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")
"""What Typer raises for a command line. (The class is nowhere public.)"""


class UsageError(typer.BadParameter):
    """The command line cannot be carried out as it is."""

    def format_message(self) -> str:
        """Return the message as it is."""
        return self.message


_PLAIN: list[tuple[re.Pattern[str], Any]] = [
    (re.compile(r"Input should be a valid number, .*"), "it is not a number."),
    (re.compile(r"Input should be a valid integer, .*"), "it is not a whole number."),
    (re.compile(r"Input should be greater than or equal to (\S+)"), r"it must be at least \1."),
    (re.compile(r"Input should be less than or equal to (\S+)"), r"it must be at most \1."),
    (re.compile(r"Input should be "), "it must be "),
    (re.compile(r"(\S+) is not in the range (?:(\S+)<=)?x(?:<=|>=)(\S+?)\.$"), lambda found: _out_of(*found.groups())),
    (re.compile(r"'[^']*' is not a valid integer(?: range)?\.$"), "it is not a whole number."),
    (re.compile(r"'[^']*' is not a valid float(?: range)?\.$"), "it is not a number."),
    (re.compile(r"Value error, "), ""),
    (re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", re.DOTALL), r"Unexpected arguments: \1"),
]
"""What Typer says, the versions that have click check numbers too, and how a person would."""


def _out_of(number: str, least: str | None, most: str) -> str:
    if least is None:  # click's x>=0
        return f"it must be at least {most}."
    return f"it must be at most {most}." if float(number) > float(most) else f"it must be at least {least}."


def run(app: Any, name: str) -> None:
    """Run a Typer app as the command `name`, and exit if its exit code is not 0. Usage errors are reported here."""
    try:
        code = app(prog_name=name, standalone_mode=False)
    except typer.Abort:
        sys.exit(_ABORTED)
    except _Refused as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
        else:
            _report(error, name)
        sys.exit(EXIT_CODE)
    if isinstance(code, int) and code:
        sys.exit(code)


def no_such_option(word: str, context: Any) -> str:
    """Return what to say of an option that a command does not have."""
    command = context.command
    said = f"No such option: {word}."
    if near := get_close_matches(word, list(_options(command)), 1, 0.7):
        return f"{said} Did you mean {near[0]}?"
    below = getattr(command, "commands", {}).values()
    if any(word in _options(each) for each in below):
        return f"{said} It goes after the command: {context.command_path} COMMAND {word} …"
    if any(each.param_type_name == "argument" for each in command.params):
        return f"{said} To use an argument that begins with -, put it after --."
    return said


def _options(command: Any) -> Iterable[str]:
    return (name for each in command.params if each.param_type_name == "option" for name in each.opts)


def _report(error: Any, name: str) -> None:
    option = getattr(error, "option_name", None)
    if option is not None and type(error).__name__ == "NoSuchOption":
        said = no_such_option(option, error.ctx)
    else:
        said = error.format_message()
        for theirs, ours in _PLAIN:
            said = theirs.sub(ours, said)
    complain(f"{name}: {said}")
    if error.ctx is not None and sys.stderr.isatty():  # a script's log has one line an error
        for line in [*error.ctx.get_usage().splitlines(), f"See '{error.ctx.command_path} --help'."]:
            complain(f"{' ' * len(f'{name}: ')}{line}")
