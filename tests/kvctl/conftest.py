"""Fixtures for tests of kvctl, each run of which is a process."""

import pytest

from kvclient import Client
from processes import kvctl
from terminal import Terminal


@pytest.fixture
def run(shared_daemon, directory):
    """Run kvctl with a daemon that other tests use too."""

    def run(*arguments, stdin=None, **variables):
        done = kvctl(*arguments, directory=directory, stdin=stdin, KVD_ENDPOINT=shared_daemon.endpoint, **variables)
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def open_terminal(shared_daemon, directory):
    """Run kvctl on a terminal, with a daemon that other tests use too; it ends with the test."""
    terminals = []

    def open_terminal(*arguments, **options):
        terminals.append(Terminal(directory, *arguments, **{"KVD_ENDPOINT": shared_daemon.endpoint, **options}))
        return terminals[-1]

    yield open_terminal
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def shared_store(shared_daemon):
    with Client(shared_daemon.endpoint) as store:
        yield store
