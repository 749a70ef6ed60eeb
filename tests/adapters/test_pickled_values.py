"""Values of other frameworks: JSON stays JSON, pickles only where they are allowed."""

import decimal
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvclient import InvalidValueError
from kvclient.adapters.values import MARK, Values

JSON_ONLY = Values("pickle=True", pickles=False)
ANYTHING = Values("pickle=True", pickles=True)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
OBJECTS = st.recursive(
    SCALARS | st.decimals(allow_nan=False) | st.just({MARK: "x"}),
    lambda each: st.lists(each) | st.lists(each).map(tuple) | st.dictionaries(st.text() | st.integers(), each),
    max_leaves=10,
)


def through_json(value):
    return json.loads(json.dumps(value, allow_nan=False))


def types(value):
    """The types in a value, all through."""
    if isinstance(value, dict):
        return dict, {name: types(each) for name, each in value.items()}
    return type(value), list(map(types, value)) if isinstance(value, list | tuple) else None


@given(OBJECTS)
def test_anything_comes_back_as_it_was(value):
    """Equal, and of the same types: what JSON would change is pickled."""
    back = ANYTHING.loaded(through_json(ANYTHING.stored(value, "k")), "k")

    assert value == back
    assert types(value) == types(back)


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "text", [1, [2]], {"a": {"b": []}}, [{MARK: "x", "more": 1}]])
@pytest.mark.parametrize("values", [JSON_ONLY, ANYTHING])
def test_json_stays_json(values, value):
    """With pickles allowed or not."""
    assert value == values.stored(value, "k")


@pytest.mark.parametrize(
    "value", [(1, 2), {1: 2}, b"x", {1, 2}, math.inf, decimal.Decimal(1), "\ud800", 1 << 2000, {"\ud800": 1}]
)
def test_what_is_not_json_is_pickled(value):
    """And nothing but the pickle is stored."""
    assert [MARK] == list(ANYTHING.stored(value, "k"))


def test_what_contains_itself_is_pickled():
    """Without an endless walk."""
    value = []
    value.append(value)

    assert [MARK] == list(ANYTHING.stored(value, "k"))


class Trap:
    """An object whose pickle runs code when it is loaded."""

    sprung = False

    def __reduce__(self):
        return spring, ()


def spring():
    Trap.sprung = True


def test_no_pickle_is_loaded_without_the_option():
    """The error names the key and the option, and the code in it is not run."""
    stored = ANYTHING.stored(Trap(), "k")
    with pytest.raises(InvalidValueError, match=r"'k' is a pickle.* set pickle=True, where nobody else"):
        JSON_ONLY.loaded(stored, "k")
    assert not Trap.sprung

    ANYTHING.loaded(stored, "k")
    assert Trap.sprung


def test_what_looks_like_a_pickle_is_not_taken_for_one():
    """Such as an object that a visitor of a website sent: it comes back as it is, and is refused without pickles."""
    Trap.sprung = False
    forged = ANYTHING.stored(Trap(), "k")

    assert forged == ANYTHING.loaded(ANYTHING.stored(forged, "k"), "k")
    assert not Trap.sprung
    with pytest.raises(InvalidValueError, match="looks like a pickle"):
        JSON_ONLY.stored(forged, "k")


def test_errors_name_the_option():
    """And repeat what was wrong; where the option is set already, they only do that."""
    told = r"^No\. To keep any object that can be pickled, set pickle=True\.$"
    with pytest.raises(InvalidValueError, match=told), JSON_ONLY.explained():
        raise InvalidValueError("No.", ["k"])
    with pytest.raises(InvalidValueError, match=r"^No\.$"), ANYTHING.explained():
        raise InvalidValueError("No.", ["k"])
