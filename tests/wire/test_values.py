"""Which Python values are JSON, and what the refusal of the others says; and that the check of names costs little."""

import dataclasses
import datetime as dt
import decimal
import enum
import json
import pathlib
import uuid
from collections import OrderedDict, UserDict, deque

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvclient import InvalidValueError
from kvclient.contract.rules import encode_batch, encode_value


class Colour(enum.Enum):
    RED = 1


class Model(pydantic.BaseModel):
    x: int = 1


@dataclasses.dataclass
class Point:
    x: int = 1


NOT_NAMES = [1, 1.5, True, False, None, (1, 2), b"a", Colour.RED]

names = st.text('ab"{1é', max_size=4) | st.sampled_from(["1", "true", "null", "1.5"])
leaves = st.none() | st.booleans() | st.integers() | st.sampled_from(['{"1":2}', "{{{", "", "[", 1.5])
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(names, inner),
    max_leaves=12,
)


def refusal(value):
    """What both ways to encode say of a value; they say the same."""
    with pytest.raises(InvalidValueError) as caught:
        encode_value(value, "k")
    with pytest.raises(InvalidValueError) as in_batch:
        encode_batch({"fine": 1, "k": value})

    assert str(caught.value) == str(in_batch.value)
    assert ("k",) == caught.value.keys
    return str(caught.value)


@given(values)
def test_a_value_with_names_that_are_strings_is_encoded(value):
    """However its texts and names look: it comes back as json.dumps has it."""
    assert json.loads(json.dumps(value)) == json.loads(encode_value(value))
    assert {"a": json.loads(json.dumps(value))} == json.loads(encode_batch({"a": value}))


@given(values, st.sampled_from(NOT_NAMES), values)
def test_a_dict_key_that_is_no_string_is_refused_wherever_it_is(around, name, beside):
    """The encoder would make a string of it, and lose one of two keys that become the same."""
    assert "has the key" in refusal([around, {"a": [beside, {"b": 1, name: 2, "c": {}}]}])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1: "a", "1": "b"}, "it has the key 1 (int), and JSON has only strings for names"),
        ({"a": [{None: 1}]}, 'the part at ["a"][0] has the key None (NoneType), and JSON'),
        ([1, {"b": OrderedDict({True: 1})}], 'the part at [1]["b"] has the key True (bool)'),
        ({"a": {1, 2}}, 'the part at ["a"] is of type set; store sorted(value) or list(value)'),
        ([float("nan")], "the part at [0] is nan, and JSON has no such number"),
        ({"a": "\ud800"}, "lone surrogate ('\\ud800'); the part at [\"a\"] does"),
        ({"\ud800": 1}, "lone surrogate; a name in it does: '\\ud800'"),
    ],
)
def test_the_refusal_names_the_place(value, said):
    """A person finds the part of a large value that is meant, in the words of Python."""
    assert said in refusal(value)


@pytest.mark.parametrize(
    ("value", "instead"),
    [
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "of type datetime; store value.isoformat()"),
        (dt.date(2026, 1, 1), "of type date; store value.isoformat()"),
        (dt.timedelta(1), "of type timedelta; store value.total_seconds()"),
        (uuid.UUID(int=1), "of type UUID; store str(value)"),
        (decimal.Decimal("1.1"), "of type Decimal; store str(value)"),
        (pathlib.Path("a"), "Path; store str(value)"),
        (Colour.RED, "of type Colour; store value.value or value.name"),
        (Model(), 'of type Model; store value.model_dump(mode="json")'),
        (Point(), "of type Point; store dataclasses.asdict(value)"),
        (b"a", "of type bytes; store base64.b64encode(value).decode()"),
        (UserDict(a=1), "of type UserDict; store dict(value)"),
        (deque([1]), "of type deque; store list(value)"),
        (range(3), "of type range; store list(value)"),
        (object(), "of type object; store what it consists of"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_refusal_says_what_to_store_instead(value, instead):
    """For what people try to store most, the expression that makes JSON of it."""
    assert instead in refusal(value)


def test_a_value_that_contains_itself_many_times_is_refused_soon():
    """Whoever looks for the reason goes through each part once."""
    circle = []
    circle.extend([circle] * 10)

    assert "contains itself" in refusal(circle)
    shared = [object]
    for _ in range(60):
        shared = [shared, shared]
    assert "is of type type" in refusal(shared)
