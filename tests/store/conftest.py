"""Fixtures for the tests of the store: on a real data file, with a clock that the tests move."""

import pytest

from stores import Opened


@pytest.fixture
def opened(directory, clock):
    opened = Opened(directory / "s.json", clock, sync="never")
    yield opened
    opened.close()
