"""What a person or a program sees: data on standard output, errors on standard error, an exit code."""

import json
import sys
from typing import Any

from kvclient.cli import advice, unheard
from kvclient.contract import errors
from kvclient.contract.errors import DataStoreError
from kvclient.screen.colour import painted_json
from kvclient.screen.console import complain
from kvclient.screen.text import text_for

_EXIT_CODES: list[tuple[int, tuple[type[DataStoreError], ...]]] = [
    (2, (errors.InvalidKeyError, errors.InvalidValueError, errors.InvalidTTLError)),
    (3, (errors.KeyNotFoundError,)),
    (4, (errors.KeyExistsError, errors.RevisionMismatchError)),
    (
        5,
        (
            errors.KeyTooLongError,
            errors.ValueTooLargeError,
            errors.BatchTooLargeError,
            errors.StoreFullError,
            errors.TooManyWatchersError,
        ),
    ),
    (6, (errors.DaemonUnavailableError, errors.RequestTimeoutError)),
]

as_json = "--json" in sys.argv[: sys.argv.index("--") if "--" in sys.argv else None]
"""Whether errors are for a program too; known before the command line is parsed, because that may fail."""


def exit_code(error: DataStoreError) -> int:
    """Return the exit code that tells scripts of this error."""
    return next((code for code, kinds in _EXIT_CODES if isinstance(error, kinds)), 1)


def report(error: DataStoreError) -> int:
    """Print an error and return its exit code."""
    if as_json:
        fields = {"error": type(error).__name__, "message": error.message, "keys": error.keys}
        complain(json.dumps(fields))
    else:
        complain(f"kvctl: {' '.join(line.strip() for line in error.message.splitlines())}")
        for told in unheard.about(error):
            complain(f"kvctl: {told}")
        if advice.wanted() and (next_step := advice.about(error)):
            complain(f"       {next_step}")
    return exit_code(error)


def show(value: Any) -> None:
    """Print a JSON value: indented for a person, in one line for a program."""
    if sys.stdout is None:
        raise DataStoreError("The output cannot be written: standard output is closed.")
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    text = text_for(sys.stdout, json.dumps(value, ensure_ascii=plain, indent=2 if sys.stdout.isatty() else None))
    print(painted_json(sys.stdout, text))
