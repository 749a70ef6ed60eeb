"""Fixtures for tests of kvctl, each run of which is a process."""

import pytest

from processes import kvctl


@pytest.fixture
def run(shared_daemon, directory):
    """Run kvctl with a daemon that other tests use too."""

    def run(*arguments, stdin=None, **variables):
        done = kvctl(*arguments, directory=directory, stdin=stdin, KVD_ENDPOINT=shared_daemon.endpoint, **variables)
        assert "Traceback" not in done.stderr
        return done

    return run
