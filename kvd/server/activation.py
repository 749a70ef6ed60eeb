"""Taking the listening sockets that systemd passes (sd_listen_fds(3)).

systemd listens before the daemon starts and after it has ended, so a request that comes meanwhile waits in the
socket's queue. The socket stays systemd's: the daemon accepts from it, and never unlinks or replaces it.
"""

import os
import socket
from collections.abc import MutableMapping
from pathlib import Path

from kvclient.contract.errors import DataStoreError

_FIRST = 3


def take_sockets(environment: MutableMapping[str, str] = os.environ) -> dict[Path, int]:
    """Return the Unix sockets that were passed to this process, by path; a second call returns none.

    Raises `DataStoreError` if there are not as many as it is told. What tells of them is removed from `environment`, so
    that no child process takes them for its own.
    """
    pid = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "0")
    environment.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()):
        return {}
    found = {}
    try:
        passed = range(_FIRST, _FIRST + int(count))
        for fd in passed:
            os.set_inheritable(fd, False)
    except (ValueError, OverflowError, OSError):
        raise DataStoreError(f"No sockets were passed as the environment says: LISTEN_FDS={count}.") from None
    for fd in passed:
        path = _listening_at(fd)
        if path is not None:
            found[path] = fd
    return found


def _listening_at(fd: int) -> Path | None:
    """Return the path of a listening stream socket, None for anything else."""
    try:
        with socket.socket(fileno=os.dup(fd)) as passed:
            listens = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if passed.family == socket.AF_UNIX and passed.type == socket.SOCK_STREAM and listens:
                return Path(os.fsdecode(passed.getsockname()))
    except OSError:
        pass
    return None
