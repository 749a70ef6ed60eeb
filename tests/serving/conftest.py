"""Fixtures for tests of many clients and of crashes."""

import pytest


@pytest.fixture
def long(request):
    """Whether tests that show more the longer they run shall take their time (`pytest --long`)."""
    return request.config.getoption("--long")
