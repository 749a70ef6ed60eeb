"""Many keys at a time, also more than one request can carry."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kvclient.contract.errors import BatchTooLargeError

T = TypeVar("T")


def in_parts(ask: Callable[[Sequence[T]], Any], many: Sequence[T]) -> list[Any]:
    """Ask for all of `many` at once, and where that is too large for one request, for each half; return the answers.

    Each request is atomic, all together are not. Raises `BatchTooLargeError` if a single one is too large.
    """
    if not many:
        return []
    try:
        return [ask(many)]
    except BatchTooLargeError:
        if len(many) == 1:
            raise
    half = len(many) // 2
    return in_parts(ask, many[:half]) + in_parts(ask, many[half:])
