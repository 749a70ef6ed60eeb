"""Which stores this user has, for commands that must not make one by a slip of the pen.

A store is there if it has a data file of kvd's in the documents, or a socket where daemons listen by default. One whose
file the settings put elsewhere is seen while its daemon runs, or by its name.
"""

import os
from pathlib import Path
from typing import NamedTuple

from kvclient.contract.endpoint import Target, default_endpoint, default_file, socket_path
from kvclient.contract.errors import DaemonUnavailableError, DataStoreError
from kvclient.contract.holder import running_holder
from kvclient.contract.places import documents, socket_directory

_HEADER_BYTES = 64
_HEADER = b'{"":{"'  # and `"kvd":` in the rest of the first line; see docs/data-file.md
_SHOWN = 20
"""Names that a message has room for."""
_ACCEPTS = 0x10000
"""Flag of a listening socket in /proc/net/unix (__SO_ACCEPTCON)."""


class Store(NamedTuple):
    """A store that there is."""

    name: str
    endpoint: str
    """Where its daemon is expected, or is."""
    file: Path | None
    """None if it is not where the settings of this user put it."""
    pid: int | None
    """Of the process that has the file open; None if there is none, or it cannot be seen."""
    listening: bool
    """Whether a daemon, or systemd in its place, listens on the endpoint."""


def stores() -> list[str]:
    """Return the names of this user's stores, in order."""
    files = {path.stem for path in _listed(documents(), ".json") if _is_data_file(path)}
    sockets = {path.stem for path in _listed(socket_directory(), ".sock") if path.is_socket()}
    return sorted(files | sockets)


def described() -> list[Store]:
    """Return what can be seen of this user's stores without asking a daemon: where systemd listens, that starts one."""
    current = Target()
    names = set(stores())
    if os.path.lexists(current.data_file()):
        names.add(current.store)
    listening = _listening()
    return [_described(name, current, listening) for name in sorted(names) if _is_name(name)]


def _described(name: str, current: Target, listening: set[str]) -> Store:
    is_current = name == current.store
    file = current.data_file() if is_current else default_file(name)
    endpoint = current.endpoint if is_current else default_endpoint(name)
    there = os.path.lexists(file)
    holder = running_holder(file.resolve()) if there else None
    if holder is not None and holder.endpoint is not None:
        endpoint = holder.endpoint
    path = socket_path(endpoint)
    pid = None if holder is None else holder.pid
    return Store(name, endpoint, file if there else None, pid, path is not None and str(path) in listening)


def _is_name(name: str) -> bool:
    try:
        default_file(name)
    except DataStoreError:  # what lies there cannot be a store's
        return False
    return True


def _listening() -> set[str]:
    """Return the paths of all Unix sockets on which somebody listens."""
    try:
        lines = Path("/proc/net/unix").read_bytes().decode("utf-8", "surrogateescape").splitlines()[1:]
    except OSError:
        return set()
    # Such as "00000000e6f1a3c2: 00000002 00000000 00010000 0001 01 12345 /run/user/1000/kvd/work.sock".
    rows = [line.split(maxsplit=7) for line in lines]
    return {row[7] for row in rows if len(row) == 8 and int(row[3], 16) & _ACCEPTS}


def is_missing(target: Target) -> bool:
    """Tell whether the store has no data file yet, so that a daemon for it would create one."""
    return not os.path.lexists(target.data_file())


def missing(target: Target) -> DaemonUnavailableError:
    """Return the error of whoever reads from a store that there is not."""
    return DaemonUnavailableError(
        f"There is no store {target.store!r}: no daemon listens on {target.endpoint}, and there is no file "
        f"{target.data_file()}. {_existing()} Creating a key creates its store."
    )


def _existing() -> str:
    there = stores()
    names = ", ".join(there[:_SHOWN]) + (f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else "")
    return f"Existing stores: {names}." if there else "There are no stores yet."


def what_to_do(target: Target) -> str:
    """Return what a person can do where no daemon listens: the command that starts the very one that is meant.

    A daemon that serves the store's file elsewhere, because it was started in another environment, is pointed out.
    """
    holder = running_holder(target.data_file().resolve()) if target.has_default_endpoint else None
    if holder is not None and holder.endpoint not in (None, target.endpoint):
        return (
            f"Process {holder.pid} serves {target.data_file()} on {holder.endpoint}: use --endpoint {holder.endpoint}, "
            f"or set XDG_RUNTIME_DIR as it was where that was started."
        )
    start = f"Start one with '{target.command}'."
    if target.has_default_endpoint and is_missing(target):
        return f"There is no store {target.store!r}. {_existing()} {start}"
    return start


def _listed(directory: Path, suffix: str) -> list[Path]:
    try:
        return [path for path in directory.iterdir() if path.suffix == suffix]
    except OSError:
        return []


def _is_data_file(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES).partition(b"\n")[0]
    except OSError:
        return False
    return head.startswith(_HEADER) and b'"kvd":' in head
