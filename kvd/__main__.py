"""The command `kvd`: serve, and look after data files."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kvclient.errors import DataStoreError
from kvd import logs
from kvd.engine import EngineFailure

app = typer.Typer(
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    store: Annotated[str | None, typer.Option(help="The store's name.", show_default="data_store")] = None,
    file: Annotated[Path | None, typer.Option(help="The data file.", show_default="Documents/STORE.json")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Where to listen, such as ipc:///run/user/1000/kvd/x.sock.")
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
    serve_until_stopped(Settings.load(store=store, file=file, endpoint=endpoint, sync=sync))


def main() -> None:
    """Run the command line; errors are one line on standard error, and exit code 1."""
    try:
        app(prog_name="kvd")
    except (DataStoreError, EngineFailure) as error:
        print(f"kvd: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
