"""The verbs of `kvctl service`, their options and help."""

from typing import Annotated

import typer

from kvclient.cli.service import control, exporter, install, uninstall
from kvclient.screen.help import Command, Group

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Run the daemon as a systemd user service, started by the first request.",
)

Store = Annotated[str | None, typer.Option(metavar="NAME", help="The store's name.", show_default="data_store")]
Exporter = Annotated[
    bool, typer.Option("--exporter", help="Instead of a store's daemon, the metrics of all stores for Prometheus.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]


@app.command("install", cls=Command)
def _install(store: Store = None, exporter_: Exporter = False, dry_run: DryRun = False) -> None:
    """Write systemd units for this installation and listen, now and at each login.

    Example: kvctl service install --dry-run
    """
    if exporter_:
        exporter.install(store, dry_run=dry_run)
    else:
        install.run(store, dry_run=dry_run)


@app.command("uninstall", cls=Command)
def _uninstall(store: Store = None, exporter_: Exporter = False, dry_run: DryRun = False) -> None:
    """Stop the service and remove its units. The data file stays.

    Example: kvctl service uninstall
    """
    if exporter_:
        exporter.uninstall(store, dry_run=dry_run)
    else:
        uninstall.run(store, dry_run=dry_run)


@app.command("start", cls=Command)
def _start(store: Store = None, dry_run: DryRun = False) -> None:
    """Start the service now, even after systemd gave up on it because it failed too often.

    Example: kvctl service start
    """
    control.change("start", store, dry_run=dry_run)


@app.command("stop", cls=Command)
def _stop(store: Store = None, dry_run: DryRun = False) -> None:
    """Stop the service and its socket until the next login or start.

    Example: kvctl service stop
    """
    control.change("stop", store, dry_run=dry_run)


@app.command("restart", cls=Command)
def _restart(store: Store = None, dry_run: DryRun = False) -> None:
    """Restart the daemon, for example after an upgrade. Requests wait for it and are answered.

    Example: kvctl service restart
    """
    control.change("restart", store, dry_run=dry_run)


@app.command("status", cls=Command)
def _status(store: Store = None, dry_run: DryRun = False) -> None:
    """Show whether the service listens and runs, and its last log lines. Exit code 1 if it does neither.

    Example: kvctl service status
    """
    raise typer.Exit(control.status(store, dry_run=dry_run))


@app.command("logs", cls=Command)
def _logs(
    store: Store = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new lines.")] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, metavar="COUNT", help="How many of the last lines to show.")
    ] = 50,
    dry_run: DryRun = False,
) -> None:
    """Show the service's log.

    Example: kvctl service logs --follow
    """
    raise typer.Exit(control.logs(store, follow=follow, lines=lines, dry_run=dry_run))


@app.command("enable", cls=Command)
def _enable(store: Store = None, dry_run: DryRun = False) -> None:
    """Listen for the store at each login.

    Example: kvctl service enable
    """
    control.change("enable", store, dry_run=dry_run)


@app.command("disable", cls=Command)
def _disable(store: Store = None, dry_run: DryRun = False) -> None:
    """Do not listen for the store at login any more.

    Example: kvctl service disable
    """
    control.change("disable", store, dry_run=dry_run)
