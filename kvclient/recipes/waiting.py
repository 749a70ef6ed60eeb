"""For how long a caller would wait: what he may say, and how much of it is left."""

import time
from types import EllipsisType
from typing import TypeAlias

Wait: TypeAlias = float | None
"""Seconds; None: as long as it takes; 0: not at all."""

_FOREVER = 1e9


def check_wait(wait: Wait) -> Wait:
    """Return `wait`, or raise `ValueError` for what is no number of seconds from 0 on."""
    if wait is not None and (isinstance(wait, bool) or not isinstance(wait, int | float) or not wait >= 0):
        raise ValueError(f"wait is a number of seconds from 0 on, or None for as long as it takes, not {wait!r}.")
    return wait


def chosen(wait: Wait | EllipsisType, default: Wait) -> Wait:
    """Return what the caller said, or the default where he said nothing."""
    return default if isinstance(wait, EllipsisType) else check_wait(wait)


class Deadline:
    """The moment until which a caller waits."""

    def __init__(self, wait: Wait) -> None:
        self._at = time.monotonic() + (_FOREVER if wait is None else wait)

    def left(self) -> float:
        """Return the seconds that are left, 0 if it has passed."""
        return max(0.0, self._at - time.monotonic())
