"""The command `kvd`: serve, and look after data files."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kvclient.contract.errors import DataStoreError
from kvclient.screen import usage
from kvclient.screen.console import prepare, reporting
from kvclient.screen.help import CONTEXT, Command, Group
from kvd import logs
from kvd.backend.file.engine.interface import EngineFailure

if TYPE_CHECKING:
    from kvd.settings import Settings

app = typer.Typer(
    cls=Group,
    add_completion=False,
    context_settings=CONTEXT,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    store: Annotated[
        str | None, typer.Option(metavar="NAME", help="The store's name.", show_default="data_store")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The data file.", show_default="Documents/STORE.json")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Where to listen, such as ipc:///run/user/1000/kvd/x.sock.")
    ] = None,
    sync: Annotated[
        str | None,
        typer.Option(help="When a write reaches the disk: always (before its reply), interval, never.", metavar="MODE"),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every refused request.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Serve a key-value store from one JSON file, in the foreground, until SIGTERM or Ctrl-C.

    Settings that are not given here come from KVD_… environment variables and ~/.config/kvd/config.toml.
    """
    if version:
        from kvd import __version__

        print(f"kvd {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is not None:
        return
    from kvd.daemon import serve as serve_until_stopped
    from kvd.settings import Settings

    logs.start(verbose=verbose)
    settings = Settings.load(store=store, file=file, endpoint=endpoint, sync=sync)
    try:
        serve_until_stopped(settings)
    except DataStoreError:  # some are an OSError as well
        raise
    except OSError as error:  # the daemon's own, which `reporting` would take for one of the output
        sys.excepthook(type(error), error, error.__traceback__)
        raise typer.Exit(1) from None


File = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="The data file; default: the store's.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@app.command("check", cls=Command)
def _check(context: typer.Context, file: File = None, json: Json = False) -> None:
    """Examine a data file and report all damage. Changes nothing; a daemon may be running.

    Exit code 0: sound. 1: damaged; 'kvd repair' mends it. 2: not a data file, not readable, or another error.

    Example: kvd check
    """
    from kvd.commands import check

    with reporting(partial(_report, code=check.UNKNOWN), failed=check.UNKNOWN):
        status = check.run(_data_file(context, file), as_json=json)
    raise typer.Exit(status)


@app.command("repair", cls=Command)
def _repair(context: typer.Context, file: File = None, json: Json = False) -> None:
    """Mend a damaged data file: keep all that is sound, set the original aside, and report what was lost.

    Exit code 0: sound now. 1: a daemon has it open, or another error. 2: not a data file, or not readable.

    Example: kvd repair
    """
    from kvd.commands import repair

    logs.start(verbose=False)
    raise typer.Exit(repair.run(_data_file(context, file), as_json=json))


@app.command("backup", cls=Command)
def _backup(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(metavar="BACKUP", help="The file to write.")],
    file: File = None,
    json: Json = False,
) -> None:
    """Copy a data file, even while a daemon writes to it. The copy is a snapshot of one moment and includes every
    write acknowledged before; the daemon is not disturbed. 'kvctl backup' finds the file by itself.

    Example: kvd backup /mnt/backup/data_store.json
    """
    from kvd.commands import backup

    backup.run(_data_file(context, file), target, as_json=json)


@app.command("restore", cls=Command)
def _restore(
    context: typer.Context,
    backup: Annotated[Path, typer.Argument(metavar="BACKUP", help="A file made by 'kvd backup' or 'kvctl backup'.")],
    file: File = None,
    wait: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, help="How long to wait until no daemon has the file open."),
    ] = 0.0,
    json: Json = False,
) -> None:
    """Replace the content of a data file with that of a backup; the original is set aside. No daemon may have the file
    open: 'kvctl restore' stops and restarts it for you.

    Example: kvd restore /mnt/backup/data_store.json
    """
    from kvd.commands import restore

    settings = _settings(context)
    restore.run(backup, file or settings.data_file, settings.max_file_bytes, wait, as_json=json)


@app.command("schema", cls=Command)
def _schema() -> None:
    """Print the JSON Schema of requests and replies.

    Example: kvd schema > kvd.schema.json
    """
    from kvd.commands import schema

    schema.run()


def _data_file(context: typer.Context, file: Path | None) -> Path:
    """Return `file`, or the data file that `kvd` itself would open with the options before the command."""
    return file if file is not None else _settings(context).data_file


def _settings(context: typer.Context) -> "Settings":
    """Return the settings of a `kvd` with the options before the command."""
    from kvd.settings import Settings

    given = context.parent.params if context.parent is not None else {}
    return Settings.load(store=given.get("store"), file=given.get("file"))


def main() -> None:
    """Run the command line; errors are one line on standard error, and exit code 1."""
    prepare()
    with reporting(_report):
        try:
            usage.run(app, "kvd")
        except EngineFailure as error:
            raise DataStoreError(str(error)) from None


def _report(error: DataStoreError, code: int = 1) -> int:
    logs.complain(str(error))
    return code


if __name__ == "__main__":
    main()
