"""The command `kvctl`.

`app` declares the commands and their options; a module each does what a command does. Only `app` imports Typer, which
takes longer than all else that `kvctl read KEY` needs together.
"""

import os
import sys

from kvclient.cli.options import Options
from kvclient.cli.output import report
from kvclient.errors import DataStoreError

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit; errors are one line on standard error."""
    if sys.stderr is None:  # closed by whoever started us; print would write to standard output instead
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    try:
        try:
            _run(sys.argv[1:])
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except DataStoreError as error:
        sys.exit(report(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has enough
        _drop_output()
        sys.exit(1)
    except OSError as error:
        _drop_output()
        sys.exit(report(DataStoreError(f"The output cannot be written: {error.strerror}.")))


def _run(arguments: list[str]) -> None:
    if len(arguments) == 2 and arguments[0] == "read" and not arguments[1].startswith("-"):
        # What scripts do most, in two thirds of the time.
        from kvclient.cli import read

        read.run(Options(), arguments[1])
    else:
        from kvclient.cli.app import app

        app(prog_name="kvctl")


def _drop_output() -> None:
    """Let what is still buffered go nowhere: it must not raise again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
