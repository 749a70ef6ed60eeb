"""Whether a history of concurrent operations could have come from a store that does one thing at a time.

Such a history is linearizable: each operation can be given an instant between its call and its return so that all
results are what a store gives that carries the operations out at these instants (Herlihy and Wing, 1990). The search
for the instants is that of Wing and Gong (1993), with Lowe's remembered configurations (2017). Keys do not depend on
each other, so each has a history of its own.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

ABSENT = None
UNKNOWN = "unknown"
"""The result of an operation that got no answer. It may have been carried out at any time, or never."""


class Operation(NamedTuple):
    """What a client asked for and what it was told."""

    key: str
    action: str
    """create, read or delete"""
    value: int | None
    """Of a create: what it wants to store."""
    result: object
    """Of a read: the value, or ABSENT. Of the others: whether it was done. Or UNKNOWN."""
    called: float
    returned: float
    """Seconds of one clock for all processes; infinite where there was no answer."""


def unexplained(history: Iterable[Operation]) -> list[Operation]:
    """Return operations of which one cannot be explained, after as many as possible are; none if all can be."""
    histories = defaultdict(list)
    for operation in history:
        histories[operation.key].append(operation)
    for of_key in histories.values():
        of_key.sort(key=lambda operation: operation.called)
        if stuck := _stuck(of_key):
            return stuck
    return []


def _stuck(history: Sequence[Operation]) -> list[Operation]:
    """Return what could come next where the search got furthest; nothing if it got to the end.

    A configuration of the search is: all before `first` are placed, and those in `others`, and the key has `value`.
    """
    start = (0, frozenset[int](), ABSENT)
    seen, pending = {start}, [start]
    furthest, stuck = -1, []
    while pending:
        first, others, value = pending.pop()
        next_ones = _candidates(history, first, others)
        if all(history[at].result == UNKNOWN for at in next_ones):
            return []
        if first + len(others) > furthest:
            furthest, stuck = first + len(others), [history[at] for at in next_ones]
        steps = [(at, after) for at in next_ones for after in _values_after(history[at], value)]
        # What changes nothing can be placed at once: whatever order works with it later works with it now.
        still = [step for step in steps if step[1] == value and history[step[0]].result != UNKNOWN]
        for at, after in still[:1] or steps:
            configuration = _place(first, others, at, after)
            if configuration not in seen:
                seen.add(configuration)
                pending.append(configuration)
    return stuck


def _candidates(history: Sequence[Operation], first: int, others: frozenset[int]) -> list[int]:
    """Return the operations that may come next: those called before any other that is not placed had returned."""
    candidates, earliest = [], math.inf
    for at in range(first, len(history)):
        if at in others:
            continue
        if history[at].called > earliest:
            break
        candidates.append(at)
        earliest = min(earliest, history[at].returned)
    return candidates


def _values_after(operation: Operation, value: int | None) -> list[int | None]:
    """Return what the key may hold after an operation; nothing if the operation cannot have had its result."""
    possible: list[tuple[object, int | None]]
    match operation.action:
        case "read":
            possible = [(value, value)]
        case "create":
            possible = [(True, operation.value)] if value is ABSENT else [(False, value)]
        case _:
            possible = [(False, ABSENT)] if value is ABSENT else [(True, ABSENT)]
    return [after for result, after in possible if operation.result in (result, UNKNOWN)]


def _place(first: int, others: frozenset[int], at: int, value: int | None) -> tuple[int, frozenset[int], int | None]:
    placed = {*others, at}
    for ahead in itertools.count(first):
        if ahead not in placed:
            return ahead, frozenset(placed), value
        placed.remove(ahead)
    raise AssertionError
