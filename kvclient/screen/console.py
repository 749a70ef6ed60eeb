"""The standard streams of a command as it finds them: closed, full, a pipe that nobody reads, not for any text."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TextIO

from kvclient.contract.errors import DataStoreError
from kvclient.screen.colour import painted
from kvclient.screen.text import text_for

INTERRUPTED = 130


def prepare() -> None:
    """Make any text printable, and keep the standard descriptors from what is opened later.

    Where one is closed, the next file or socket would get its number, and what others print to it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which gets the lowest free number, and is not inherited
    if sys.stderr is None:  # closed by whoever started us; print would write to standard output instead
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # paths need be no UTF-8


@contextmanager
def reporting(report: Callable[[DataStoreError], int], *, failed: int = 1) -> Iterator[None]:
    """Exit with what `report` returns where an error is raised within, or the output of it cannot be written.

    A reader that has enough, as in `kvctl read key1 | head -c 0`, is told nothing; the exit code is then `failed`.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except DataStoreError as error:
        sys.exit(report(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        drop(sys.stdout)
        sys.exit(failed)
    except OSError as error:
        drop(sys.stdout)
        sys.exit(report(DataStoreError(f"The output cannot be written: {error.strerror}.")))


def complain(line: str) -> None:
    """Print the line that tells why the command failed. If even that cannot be written, the exit code tells."""
    name, colon, rest = text_for(sys.stderr, line).partition(": ")
    said = painted(sys.stderr, name + colon, "failure") + rest if colon and name.isalnum() else name + colon + rest
    try:
        print(said, file=sys.stderr, flush=True)
    except OSError:
        drop(sys.stderr)


def drop(stream: TextIO | None) -> None:
    """Let what is still buffered go nowhere: it must not raise again at exit."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
