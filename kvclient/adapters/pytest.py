"""A plugin for pytest: a store for tests, of a daemon that runs for them alone.

    def test_it_counts(kvd_store):
        assert kvd_store.increment("visits") == 1

pytest finds it by itself where kvd is installed; `-p no:kvd` turns it off. See docs/adapters.md.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest  # and nothing else at the top: every run of pytest imports this

if TYPE_CHECKING:
    from kvclient.client.blocking import Client

_START_SECONDS, _END_SECONDS = 30.0, 10.0
_LONGEST_DIRECTORY = 60
"""Bytes of a path that leave room for a socket's name: a Unix socket's path may have 107."""
_NOT_OURS = ("KVD_", "XDG_", "LISTEN_", "NOTIFY_")
"""Variables of a user's settings and places, and of the service that pytest may be."""
# The kernel ends the daemon when pytest is killed and ends nothing itself (PR_SET_PDEATHSIG).
_DAEMON = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv.pop(1)):
    sys.exit()
from kvd.__main__ import main
sys.argv[0] = "kvd"
main()
"""


@pytest.fixture(scope="session")
def kvd_endpoint() -> Iterator[str]:
    """The endpoint of a daemon for this run of pytest; with pytest-xdist each worker has one of its own.

    Its file is in a scratch directory, and it takes no settings from the user's environment or home.
    """
    parent = None if len(os.fsencode(tempfile.gettempdir())) <= _LONGEST_DIRECTORY else "/tmp"  # noqa: S108  # is short
    with tempfile.TemporaryDirectory(prefix="kvd-", dir=parent) as path:
        directory = Path(path)
        daemon = _start(directory)
        try:
            _wait(daemon, directory)
            yield f"ipc://{directory}/kvd.sock"
        finally:
            _end(daemon)


@pytest.fixture
def kvd_store(kvd_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator["Client"]:
    """A `Client` of an empty store. Meanwhile `Client()` without arguments is a client of it, too."""
    from kvclient.client.blocking import Client

    monkeypatch.setenv("KVD_ENDPOINT", kvd_endpoint)
    monkeypatch.delenv("KVD_STORE", raising=False)
    with Client(kvd_endpoint, timeout=30) as store:
        store.clear()
        yield store


def _start(directory: Path) -> "subprocess.Popen[bytes]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
    options = ["--file", f"{directory}/kvd.json", "--endpoint", f"ipc://{directory}/kvd.sock", "--sync", "never"]
    with open(directory / "kvd.log", "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", _DAEMON, str(os.getpid()), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            start_new_session=True,  # Ctrl-C is for pytest, which ends the daemon when no test needs it any more
            env={**kept, "HOME": str(directory), "XDG_RUNTIME_DIR": str(directory)},
        )


def _wait(daemon: "subprocess.Popen[bytes]", directory: Path) -> None:
    from kvclient.client.autostart import listening

    deadline = time.monotonic() + _START_SECONDS
    while not listening(directory / "kvd.sock"):
        if daemon.poll() is not None or time.monotonic() > deadline:
            said = (directory / "kvd.log").read_text(errors="replace").strip()
            pytest.fail(f"No daemon for the tests could be started. It said:\n{said}", pytrace=False)
        time.sleep(0.01)


def _end(daemon: "subprocess.Popen[bytes]") -> None:
    daemon.terminate()
    try:
        daemon.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
