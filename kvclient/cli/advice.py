"""What a person can do next where something was refused. For terminals only: a script's log has one line an error."""

import shlex
import sys

from kvclient.cli.options import Options
from kvclient.contract import errors
from kvclient.contract.errors import DataStoreError, KeyNotFoundError
from kvclient.contract.places import config_path

_MOST = 500
_SECONDS = 0.3
"""For the keys that a mistyped one is compared with."""
_LIMITS: dict[type[DataStoreError], str] = {
    errors.KeyTooLongError: "max_key_length",
    errors.ValueTooLargeError: "max_value_bytes",
    errors.BatchTooLargeError: "max_batch",
    errors.StoreFullError: "max_file_bytes",
}


def wanted() -> bool:
    """Tell whether a person reads the errors."""
    return sys.stderr is not None and sys.stderr.isatty()


def about(error: DataStoreError) -> str | None:
    """Return a sentence that says what to do, None if the message says all there is to say."""
    key = shlex.quote(error.keys[0]) if len(error.keys) == 1 else None
    if isinstance(error, errors.KeyExistsError) and key is not None:
        return f"To replace its value: kvctl put {key} VALUE"
    if isinstance(error, errors.RevisionMismatchError) and key is not None:
        return f"To see what it is now: kvctl read {key} --entry"
    if isinstance(error, errors.RequestTimeoutError):
        return "To wait longer: --timeout SECONDS"
    if (setting := _LIMITS.get(type(error))) is not None:
        room = "Make room with kvctl delete or kvctl clear, or raise" if setting == "max_file_bytes" else "Raise"
        return f"{room} {setting} in {config_path()}, and restart the daemon with kvctl stop"
    return next(iter(getattr(error, "__notes__", ())), None)


def suggest(error: KeyNotFoundError, options: Options) -> None:
    """Note the key that was probably meant, if a person reads it and there is one like it."""
    if not wanted() or len(error.keys) != 1:
        return
    from difflib import get_close_matches

    key = error.keys[0]
    try:
        client = Options(options.store, options.endpoint, _SECONDS).client(autostart=False)
        # There may be millions. Those that begin the same are the most likely.
        near: dict[str, None] = {}
        for length in (len(key) * 3 // 4, len(key) // 2, 1, 0):
            near |= dict.fromkeys(client.list(key[:length], limit=_MOST))
    except DataStoreError:
        return
    if found := get_close_matches(key, near, 1, 0.75):
        error.add_note(f"Did you mean {shlex.quote(found[0])}?")
