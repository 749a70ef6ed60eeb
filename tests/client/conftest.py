"""Fixtures for tests of the Python client."""

import subprocess
import sys

import pytest

from kvclient import Client
from kvd import LocalDataStore
from processes import environment


@pytest.fixture
def store(shared_daemon):
    """A client of a daemon that other tests use too."""
    with Client(shared_daemon.endpoint) as store:
        yield store


@pytest.fixture
def python(directory):
    """Run a Python program as a process of its own and return what it printed; its errors fail the test."""

    def run(program, *arguments, **variables):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            env=environment(directory, **variables),
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.strip()

    return run


@pytest.fixture(params=["client", "local"])
def face(request, directory):
    """A store through a daemon, and one in this process: what they do is the same."""
    if request.param == "client":
        with Client(request.getfixturevalue("shared_daemon").endpoint) as store:
            yield store
    else:
        with LocalDataStore(directory / "local.json") as store:
            yield store
