"""The checker of histories finds what is wrong, and only that."""

import itertools
import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linearizability import ABSENT, UNKNOWN, Operation, unexplained


def create(value, result, called, returned):
    return Operation("key", "create", value, result, called, returned)


def read(result, called, returned):
    return Operation("key", "read", None, result, called, returned)


def delete(result, called, returned):
    return Operation("key", "delete", None, result, called, returned)


GOOD = {
    "one after the other": [create(1, True, 0, 1), read(1, 2, 3), delete(True, 4, 5), read(ABSENT, 6, 7)],
    "a read beside a create may see it or not": [create(1, True, 0, 9), read(ABSENT, 1, 2), read(1, 3, 4)],
    "of two creates either may win": [create(1, False, 0, 5), create(2, True, 1, 6), read(2, 7, 8)],
    "no answer, but carried out": [create(1, UNKNOWN, 0, math.inf), read(1, 1, 2)],
    "no answer, and not carried out": [create(1, UNKNOWN, 0, math.inf), read(ABSENT, 1, 2), create(2, True, 3, 4)],
    "no answer, and carried out late": [
        create(1, UNKNOWN, 0, math.inf),
        create(2, True, 1, 2),
        delete(True, 3, 4),
        read(1, 5, 6),
    ],
}
BAD = {
    "a lost create": [create(1, True, 0, 1), read(ABSENT, 2, 3)],
    "a stale read": [create(1, True, 0, 1), delete(True, 2, 3), read(1, 4, 5)],
    "a read of what nobody wrote": [create(1, True, 0, 1), read(2, 2, 3)],
    "a create that succeeded twice": [create(1, True, 0, 5), create(2, True, 1, 6)],
    "a create refused by its own first try": [create(1, False, 0, 1), read(1, 2, 3)],
    "a delete that succeeded twice": [create(1, True, 0, 1), delete(True, 2, 5), delete(True, 3, 6)],
    "a read that went back in time": [create(1, True, 0, 9), read(1, 1, 2), read(ABSENT, 3, 4)],
}


@pytest.mark.parametrize("name", GOOD)
def test_good_history_is_explained(name):
    """A history that a correct store can produce leaves nothing unexplained."""
    assert [] == unexplained(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_bad_history_is_not_explained(name):
    """A history that no correct store can produce is caught, also among operations on other keys."""
    others = [operation._replace(key="other") for operation in GOOD["one after the other"]]

    assert unexplained([*others, *BAD[name]])


operations = st.builds(
    lambda action, value, result, called, lasted: Operation(
        "key", action, value if action == "create" else None, result, called, called + lasted
    ),
    action=st.sampled_from(["create", "read", "delete"]),
    value=st.integers(1, 3),
    result=st.sampled_from([True, False, ABSENT, 2, 3, UNKNOWN]),
    called=st.integers(0, 12),
    lasted=st.integers(1, 6),
)


@given(st.lists(operations, max_size=5))
def test_agrees_with_trying_all_orders(history):
    """The search finds an order exactly if one of all orders of all subsets is one."""
    history = [o._replace(returned=math.inf) if o.result == UNKNOWN else o for o in history]

    assert _some_order_works(history) == (not unexplained(history))


def _some_order_works(history: list[Operation]) -> bool:
    answered = [operation for operation in history if operation.result != UNKNOWN]
    unanswered = [operation for operation in history if operation.result == UNKNOWN]
    for count in range(len(unanswered) + 1):
        for carried_out in itertools.combinations(unanswered, count):
            if any(map(_works, itertools.permutations([*answered, *carried_out]))):
                return True
    return False


def _works(order: Iterable[Operation]) -> bool:
    value, latest_call = ABSENT, -math.inf
    for operation in order:
        latest_call = max(latest_call, operation.called)
        if operation.returned < latest_call:
            return False
        match operation.action:
            case "read":
                result = value
            case "create":
                result = value is ABSENT
                value = operation.value if result else value
            case _:
                result = value is not ABSENT
                value = ABSENT
        if operation.result not in (result, UNKNOWN):
            return False
    return True


@pytest.mark.timeout(3600)
@given(st.integers(0, 2**64))
def test_explains_a_long_history_of_a_correct_store(seed):
    """What a correct store did at known instants is explained, however the calls overlap."""
    chance = random.Random(seed)  # hypothesis' own, which shrinks, takes fifty times as long
    history, value = [], ABSENT
    for instant in range(200):
        called, returned = instant - chance.uniform(0, 4), instant + chance.uniform(0, 4)
        action = chance.choice(["create", "read", "delete"])
        if action == "read":
            result = value
        elif action == "create":
            result, value = value is ABSENT, instant if value is ABSENT else value
        else:
            result, value = value is not ABSENT, ABSENT
        history.append(Operation("key", action, instant if action == "create" else None, result, called, returned))

    assert [] == unexplained(history)
