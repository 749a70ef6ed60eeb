"""Fixtures for tests of the adapters."""

import pytest

from kvclient import Client


@pytest.fixture
def endpoint(shared_daemon):
    """A daemon that other tests use too."""
    return shared_daemon.endpoint


@pytest.fixture
def store(endpoint):
    """A client of it."""
    with Client(endpoint, timeout=30) as store:
        yield store


@pytest.fixture
def no_daemon(directory):
    """An endpoint where nobody listens."""
    return f"ipc://{directory}/none.sock"
