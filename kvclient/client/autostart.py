"""Starting a daemon in the background where none runs."""

import atexit
import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kvclient.contract.endpoint import Target
from kvclient.contract.errors import DaemonUnavailableError, DataStoreError
from kvclient.contract.ownership import make_private
from kvclient.contract.places import log_directory

if TYPE_CHECKING:
    import subprocess


_POLL_SECONDS = 0.02
# Daemons that this process started, kept so that they can be reaped when they end.
_started: list["subprocess.Popen[bytes]"] = []


@atexit.register
def _leave_running() -> None:
    """Let the daemons outlive this process; subprocess would complain of what it does not know to have ended."""
    for daemon in _started:
        daemon.returncode = daemon.poll() or 0


def listening(path: Path) -> bool:
    """Tell whether somebody listens on the Unix socket at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return False
        except OSError:  # a full backlog, say: there is somebody
            return True
        return True


def start_daemon(target: Target, path: Path, deadline: float) -> Iterator[float]:
    """Start the daemon of `target` and wait until it listens at `path`, until `deadline` (monotonic) at the latest.

    Yields the seconds to wait before it goes on. Of many processes that try it at once one starts a daemon and the
    others wait for it. Raises `DaemonUnavailableError` that repeats what the daemon said, and `AccessDeniedError` if
    others than this user could change what is at `path`.
    """
    try:
        yield from _start_one(target, path, deadline)
    except DataStoreError:
        raise
    except OSError as error:
        raise DaemonUnavailableError(f"No daemon runs and none could be started: {error}") from None


def _start_one(target: Target, path: Path, deadline: float) -> Iterator[float]:
    make_private(path.parent)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(path.with_name(f"{path.name}.start"), flags, 0o600)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                yield _patience(path, deadline)
            if listening(path):
                return
        if not listening(path):
            yield from _start(target, path, deadline)
    finally:
        os.close(fd)


def _start(target: Target, path: Path, deadline: float) -> Iterator[float]:
    import subprocess  # most find a daemon and do not need it

    _started[:] = [daemon for daemon in _started if daemon.poll() is None]
    log = log_directory() / f"{path.stem}.log"
    make_private(log.parent)
    with open(log, "ab", opener=_for_us_alone) as output:
        said_from = output.tell()
        daemon = subprocess.Popen(
            [sys.executable, "-m", "kvd", *target.options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )
    _started.append(daemon)
    while not listening(path):
        if daemon.poll() is not None:
            said = log.read_bytes()[said_from:].decode("utf-8", "replace").strip().splitlines()
            raise DaemonUnavailableError(f"No daemon runs and none could be started: {said[-1] if said else log}")
        yield _patience(path, deadline)


def _for_us_alone(path: str, flags: int) -> int:
    """Open a file that nobody else may read, whatever the umask is and whoever made it before."""
    fd = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    os.fchmod(fd, 0o600)
    return fd


def _patience(path: Path, deadline: float) -> float:
    if time.monotonic() > deadline:
        raise DaemonUnavailableError(f"No daemon listened on {path} in time.")
    return _POLL_SECONDS
