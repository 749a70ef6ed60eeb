"""kvctl completion"""

from typing import Annotated

import typer

from kvclient.cli.completion.declared import declared
from kvclient.cli.completion.install import current_shell, install
from kvclient.cli.completion.scripts import SHELLS
from kvclient.cli.options import Options
from kvclient.cli.printing import show_line


def run(
    options: Options,  # noqa: ARG001  # every command takes them
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print a shell completion script for commands, options, keys and stores.

    Keys and stores are looked up as you type; no daemon is started.

    Example: eval "$(kvctl completion bash)"
    """
    if shell not in SHELLS:
        raise typer.BadParameter(f"{shell!r} is none of {', '.join(SHELLS)}.", param_hint="'SHELL'")
    show_line(_script(shell).rstrip("\n"))


def install_for_current_shell() -> None:
    """Install the script for the shell that kvctl was started from, and say what was done."""
    shell = current_shell()
    if shell not in SHELLS:
        raise typer.BadParameter(
            f"There is completion for {', '.join(SHELLS)}, and this shell is {shell or 'unknown'}. "
            "'kvctl completion SHELL' prints a script."
        )
    for done in install(shell, _script(shell)):
        print(done)


def _script(shell: str) -> str:
    from kvclient.cli.app import app  # which imports this module

    return SHELLS[shell](list(declared(typer.main.get_command(app))))
