"""The commands of `kvctl`, put together."""

from collections.abc import Callable
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from kvclient.cli.command import NEGATIVE_NUMBERS, command
from kvclient.cli.commands import (
    backup,
    batch,
    batch_create,
    bench,
    clear,
    compact,
    completion,
    count,
    create,
    delete,
    edit,
    exists,
    expire,
    export,
    import_,
    increment,
    list,  # noqa: A004  # a command's name
    lock,
    ping,
    pop,
    put,
    read,
    restore,
    stats,
    status,
    stop,
    stores,
    top,
    update,
    watch,
)
from kvclient.cli.keys import app as keys
from kvclient.cli.service.app import app as service
from kvclient.screen.help import CONTEXT, Command, Group

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,  # Typer's takes longer than a person waits for a Tab
    context_settings=CONTEXT,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Share keys between the processes of this machine. Keys hold any JSON value and can expire.",
    epilog="Exit codes: 0 done, 1 other error, 2 usage or invalid input, 3 key not found, 4 key exists or another "
    "revision, 5 a limit, 6 no daemon or no answer.",
)

_COMMANDS: dict[str, dict[str, Callable[..., int | None]]] = {
    "Values": {
        "create": create.run,
        "read": read.run,
        "put": put.run,
        "update": update.run,
        "edit": edit.run,
        "delete": delete.run,
        "pop": pop.run,
        "increment": increment.run,
        "expire": expire.run,
    },
    "Keys": {"exists": exists.run, "count": count.run, "list": list.run, "clear": clear.run},
    "Events": {"watch": watch.run, "lock": lock.run},
    "Data": {
        "batch": batch.run,
        "batch-create": batch_create.run,
        "export": export.run,
        "import": import_.run,
        "backup": backup.run,
        "restore": restore.run,
    },
    "Daemon": {
        "stores": stores.run,
        "status": status.run,
        "stats": stats.run,
        "top": top.run,
        "ping": ping.run,
        "compact": compact.run,
        "stop": stop.run,
        "bench": bench.run,
        "completion": completion.run,
    },
}
"""Every command by its purpose, in the order of the help."""

_WITH_NEGATIVE_NUMBERS = {"create", "put", "update", "increment", "expire"}

for purpose, commands in _COMMANDS.items():
    for name, run in commands.items():
        settings = NEGATIVE_NUMBERS if name in _WITH_NEGATIVE_NUMBERS else {}
        app.command(name, cls=Command, context_settings=settings, rich_help_panel=purpose)(command(run))
app.add_typer(service, name="service", rich_help_panel="Daemon")
app.add_typer(keys, name="keys", rich_help_panel="Daemon")


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    install_completion: Annotated[
        bool, typer.Option("--install-completion", help="Install completion for this shell, and say what was done.")
    ] = False,
) -> None:
    if version:
        print(f"kvctl {installed_version('kvd-store')}")
        raise typer.Exit
    if install_completion:
        completion.install_for_current_shell()
        raise typer.Exit
