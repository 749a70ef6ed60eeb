"""Fixtures for tests of what is built on a store."""

import pytest

from kvclient import Client
from kvd import LocalDataStore


@pytest.fixture(params=["client", "local"])
def face(request, directory):
    """A store through a daemon, and one in this process: what they do is the same."""
    if request.param == "client":
        with Client(request.getfixturevalue("shared_daemon").endpoint) as store:
            yield store
    else:
        with LocalDataStore(directory / "local.json", sync="never") as store:
            yield store
