"""Many keys at a time, also more than one request can carry."""

import pytest

from kvclient import BatchTooLargeError
from kvclient.adapters.batches import in_parts


def takes(most, asked):
    """A daemon that takes so many at a time."""

    def ask(many):
        if len(many) > most:
            raise BatchTooLargeError("Send it in several.")
        asked.append(list(many))
        return sum(many)

    return ask


def test_what_fits_is_one_request():
    """And nothing is none."""
    asked = []

    assert [6] == in_parts(takes(3, asked), [1, 2, 3])
    assert [[1, 2, 3]] == asked
    assert [] == in_parts(takes(3, asked), [])
    assert 1 == len(asked)


def test_what_is_too_large_is_halved():
    """All of it is asked for, in order."""
    asked = []

    assert 45 == sum(in_parts(takes(3, asked), list(range(10))))
    assert list(range(10)) == [each for part in asked for each in part]


def test_what_is_too_large_by_itself():
    """It is the caller's error."""
    with pytest.raises(BatchTooLargeError):
        in_parts(takes(0, []), [1, 2])
