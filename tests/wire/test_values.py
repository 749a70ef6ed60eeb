"""Which Python values are JSON, and what the refusal of the others says; and that the check of names costs little."""

import dataclasses
import datetime as dt
import decimal
import enum
import json
import pathlib
import subprocess
import sys
import uuid
from collections import OrderedDict, UserDict, deque
from fractions import Fraction
from typing import Any, NamedTuple

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypedDict

from kvclient import InvalidValueError
from kvclient.contract import calls
from kvclient.contract.rules import MAX_NESTING, encode_batch, encode_value


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


class Model(pydantic.BaseModel):
    x: Any = 1


class Aliased(pydantic.BaseModel):
    """With a name of its own outside, and something computed, which reading would refuse."""

    model_config = {"extra": "forbid"}

    inside: int = pydantic.Field(alias="outSide")

    @pydantic.computed_field
    @property
    def twice(self) -> int:
        return 2 * self.inside


@dataclasses.dataclass
class Point:
    x: Any = 1


class Pair(NamedTuple):
    first: int
    second: dt.date


class Typed(TypedDict):
    day: dt.date


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
        ({"a": "\ud800"}, "the part at [\"a\"] holds a lone surrogate ('\\ud800')"),
        ({"\ud800": 1}, "it has a name with a lone surrogate: '\\ud800'"),
    ],
)
def test_the_refusal_names_the_place(value, said):
    """A person finds the part of a large value that is meant, in the words of Python."""
    assert said in refusal(value)


@pytest.mark.parametrize(
    ("value", "instead"),
    [
        (b"a", "of type bytes; store base64.b64encode(value).decode()"),
        (UserDict(a=1), "of type UserDict; store dict(value)"),
        ({1}, "of type set; store sorted(value) or list(value)"),
        (Fraction(1, 2), "of type Fraction; store str(value)"),
        (Model, "of type ModelMetaclass"),
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


DAY = dt.date(2026, 1, 31)
UNTOLD = (dict[str, list[Any]], list[Model])
"""Types that do not say what is in them."""


@pytest.mark.parametrize(
    ("value", "kind", "encoded"),
    [
        (dt.datetime(2026, 1, 31, 12, 30, 0, 5, dt.UTC), dt.datetime, '"2026-01-31T12:30:00.000005Z"'),
        (
            dt.datetime(2026, 1, 31, 12),  # noqa: DTZ001  # many have none
            dt.datetime,
            '"2026-01-31T12:00:00"',
        ),
        (DAY, dt.date, '"2026-01-31"'),
        (dt.time(12, 30), dt.time, '"12:30:00"'),
        (dt.timedelta(days=-1, seconds=5), dt.timedelta, None),
        (uuid.UUID(int=1), uuid.UUID, '"00000000-0000-0000-0000-000000000001"'),
        (decimal.Decimal("1.10"), decimal.Decimal, '"1.10"'),
        (pathlib.Path("/a/é"), pathlib.Path, '"/a/é"'),
        (pathlib.PurePosixPath("a"), pathlib.PurePosixPath, '"a"'),
        (Colour.RED, Colour, "1"),
        (Level.HIGH, Level, "3"),
        (Model(x="a"), Model, '{"x":"a"}'),
        (Aliased(outSide=2), Aliased, '{"inside":2}'),
        (pydantic.RootModel[set[int]]({1}), pydantic.RootModel[set[int]], "[1]"),
        (Point(2), Point, '{"x":2}'),
        (Pair(1, DAY), Pair, '[1,"2026-01-31"]'),
        (Typed(day=DAY), Typed, '{"day":"2026-01-31"}'),
        ({"a": [DAY, (DAY,)]}, dict[str, list[Any]], '{"a":["2026-01-31",["2026-01-31"]]}'),
        ([Model(x={1: Point()})], list[Model], '[{"x":{"1":{"x":1}}}]'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_pydantic_serialises_is_encoded_as_it_does(value, kind, encoded):
    """Wherever it is in the value, alone or in a batch; `as_` makes the same of it again."""
    found = encode_value(value, "k")
    back = calls.typed(calls.read("k"), kind, "k").result(b'{"ok":true,"value":%s,"revision":1}' % found)

    assert encoded is None or encoded == found.decode()
    assert json.loads(found) == json.loads(encode_batch({"k": value}))["k"]
    if kind not in UNTOLD:
        assert (type(value), value) == (type(back), back)


def test_a_name_outside_is_read_as_well_as_the_one_inside():
    """A model may choose which of the two it is stored under."""
    for name in (b"inside", b"outSide"):
        reply = b'{"ok":true,"value":{"%s":3},"revision":1}' % name

        assert 3 == calls.typed(calls.read("k"), Aliased, "k").result(reply).inside


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Point(float("nan")), 'the part at ["x"] is nan, and JSON has no such number'),
        (
            [Point([1, {2, b"\xff"}])],
            "the part at [0] is of type Point, which pydantic cannot serialise: 'utf-8' codec",
        ),
        ({"a": Model(x=object())}, 'the part at ["a"] is of type Model, which pydantic cannot serialise: Unable to'),
        (Point({1: 2, "1": 3}), "two keys of a dict in it become the same name as JSON, '1'"),
        (Model(x={1: 2, "1": 3}), "two keys of a dict in it become the same name as JSON, '1'"),
        ({1: Model()}, "has the key 1 (int)"),
        ({Colour.RED: DAY}, "has the key <Colour.RED: 1> (Colour)"),
        ([DAY, {1}], "the part at [1] is of type set"),
    ],
)
def test_what_is_wrong_within_an_object_is_told(value, said):
    """With its place: the field's name is a step like any other."""
    assert said in refusal(value)


def test_objects_count_with_what_is_nested_in_them():
    """One that is too deep is refused here and not by the daemon."""
    deep = 1
    for _ in range(MAX_NESTING - 1):
        deep = [deep]
    encode_value(Model(x=deep), "k")

    assert f"nested more than {MAX_NESTING} deep" in refusal(Model(x=[deep]))


def test_plain_values_do_without_pydantic():
    """It is imported when the first object is stored; neither for JSON nor for what is refused."""
    program = """if True:
        import sys
        from datetime import date
        from kvclient.contract.rules import encode_value
        encode_value({"a": [1, None, "x"]})
        try:
            encode_value({1, 2})
        except ValueError:
            pass
        print("pydantic" in sys.modules, "pydantic_core" in sys.modules)
        encode_value(date(2026, 1, 31))
        print("pydantic_core" in sys.modules)
    """

    assert "False False\nTrue\n" == subprocess.check_output([sys.executable, "-c", program], text=True)
