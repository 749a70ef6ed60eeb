"""kvctl completion"""

import sys
from typing import Annotated

import typer

from kvclient.cli.completion.declared import declared
from kvclient.cli.completion.install import current_shell, install
from kvclient.cli.completion.scripts import SHELLS
from kvclient.cli.options import Options


def run(
    options: Options,  # noqa: ARG001  # every command takes them
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the script that completes commands, options, keys and stores in a shell.

    Keys and stores are looked up as you type; that starts no daemon.

    Example: eval "$(kvctl completion bash)"
    """
    if shell not in SHELLS:
        raise typer.BadParameter(f"{shell!r} is none of {', '.join(SHELLS)}.", param_hint="'SHELL'")
    sys.stdout.write(_script(shell))


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
