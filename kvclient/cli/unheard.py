"""Variables of this environment that only a daemon reads, at its start: the one that runs has not heard of them.

`KVD_MAX_VALUE_BYTES=… kvctl create …` looks as if it did something. Where it matters, kvctl says that it does not.
"""

import os
from collections.abc import Iterator
from typing import Any

from kvclient.contract.errors import (
    BatchTooLargeError,
    DataStoreError,
    KeyTooLongError,
    RequestError,
    StoreFullError,
    ValueTooLargeError,
)

_CLIENTS = {"KVD_STORE", "KVD_ENDPOINT", "KVD_AUTOSTART"}
_TOLD = ("KVD_LOCK_", "KVD_EVENT_")
"""What `kvctl lock` and `kvctl watch --exec` tell the commands that they run."""
_LIMITS: dict[type[DataStoreError], str] = {
    KeyTooLongError: "max_key_length",
    ValueTooLargeError: "max_value_bytes",
    BatchTooLargeError: "max_batch",
    StoreFullError: "max_file_bytes",
    RequestError: "max_request_bytes",
}


def by(status: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each variable that says something else than the daemon does whose `status` this is."""
    in_force = {**status.get("limits", {}), "sync": status["sync"], "file": status["file"]}
    for variable, value in sorted(os.environ.items()):
        if not variable.startswith("KVD_") or variable.startswith(_TOLD) or variable in _CLIENTS or not value:
            continue
        name = variable.removeprefix("KVD_").lower()
        if name not in in_force:
            yield _sentence(variable, value)
        elif not _is_same(name, value, in_force[name]):
            yield _sentence(variable, value, f": {name} {in_force[name]} is in force")


def about(error: DataStoreError) -> Iterator[str]:
    """Yield a sentence if the limit that `error` is about was to be set by a variable."""
    variable = f"KVD_{_LIMITS.get(type(error), '').upper()}"
    if value := os.environ.get(variable):
        yield _sentence(variable, value)


def _sentence(variable: str, value: str, in_force: str = "") -> str:
    return (
        f"{variable}={value} in this environment has no effect on the daemon that runs{in_force}. It counts for a "
        "daemon that is started from here; for every daemon, put it into the settings file and restart."
    )


def _is_same(name: str, said: str, in_force: object) -> bool:
    if name == "file":
        return os.path.realpath(os.path.expanduser(said)) == in_force
    return said == str(in_force)
