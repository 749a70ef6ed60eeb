"""Having `kvd` do what needs its engine: kvctl knows nothing of the data file, and runs the program that does."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kvclient.contract.endpoint import socket_path
from kvclient.contract.errors import DataStoreError

_PREFIX = "kvd: "


class Engine:
    """A `kvd` command that runs, and says in lines of JSON how far it is."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def said(self) -> dict[str, Any]:
        """Return what it says next. Raises `DataStoreError` with its error if it ended instead."""
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            fields: dict[str, Any] = json.loads(line)
            return fields
        _, errors = self._process.communicate()
        lines = errors.strip().splitlines()
        raise DataStoreError(lines[-1].removeprefix(_PREFIX) if lines else "kvd ended without a word.")


@contextmanager
def engine(*arguments: str) -> Iterator[Engine]:
    """Run `kvd` with a command and its arguments; it ends with the block. Paths have to be absolute."""
    with subprocess.Popen(
        [sys.executable, "-m", "kvd", *arguments, "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",  # what is in the current directory must not be taken for kvd
    ) as process:
        try:
            yield Engine(process)
        finally:
            process.terminate()


def check_near(endpoint: str, what: str) -> None:
    """Raise `DataStoreError` if the daemon may run on another machine, where the file is that it tells of."""
    if socket_path(endpoint) is None:
        raise DataStoreError(
            f"{what} needs the data file, and the daemon on {endpoint} may have it on another machine: run it there."
        )
