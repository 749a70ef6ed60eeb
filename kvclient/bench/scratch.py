"""A daemon to measure, which nobody else uses and of which nothing stays."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kvclient.client.autostart import listening
from kvclient.contract.errors import DaemonUnavailableError

_START_SECONDS = 20.0
_POLL_SECONDS = 0.02


@contextmanager
def scratch_daemon(sync: str) -> Iterator[str]:
    """Start a daemon on a file of its own, and yield its endpoint; end it and remove the file afterwards."""
    with tempfile.TemporaryDirectory(prefix="kvd-bench-", dir=_disk()) as directory:
        socket, log = Path(directory, "kvd.sock"), Path(directory, "log")
        endpoint = f"ipc://{socket}"
        options = ["--file", f"{directory}/store.json", "--endpoint", endpoint, "--sync", sync]
        with log.open("wb") as output:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "kvd", *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for us, and then we end it
            )
        try:
            _wait(daemon, socket, log)
            yield endpoint
        finally:
            daemon.terminate()
            daemon.wait()


def _disk() -> str | None:
    """Return a directory for temporary files that is on a disk: /tmp may be memory, where every sync is free."""
    if "TMPDIR" in os.environ or not os.access("/var/tmp", os.W_OK):  # noqa: S108  # a directory is made in it
        return None
    return "/var/tmp"  # noqa: S108


def _wait(daemon: "subprocess.Popen[bytes]", socket: Path, log: Path) -> None:
    for _ in range(int(_START_SECONDS / _POLL_SECONDS)):
        if listening(socket):
            return
        try:
            daemon.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        break
    said = log.read_text(errors="replace").strip().splitlines()
    raise DaemonUnavailableError(f"No daemon could be started to measure: {said[-1] if said else 'it does not answer'}")
