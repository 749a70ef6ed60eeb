"""From frames to requests: the same at once and in steps, and an error of its own for everything that is wrong."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvclient import (
    BatchTooLargeError,
    DataStoreError,
    InvalidTTLError,
    InvalidValueError,
    RequestError,
    ValueTooLargeError,
)
from kvclient.contract.operations import OPERATIONS
from kvd.limits import Limits
from kvd.requests import chunks, parser
from kvd.requests.parser import Parser

keys = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
members = st.lists(
    st.fixed_dictionaries({"op": st.just("put"), "key": keys, "value": values}, optional={"ttl": st.integers(1, 9)})
    | st.fixed_dictionaries({"op": st.sampled_from(["delete", "pop"]), "key": keys})
    | st.fixed_dictionaries({"op": st.just("increment"), "key": keys}, optional={"by": st.integers(1, 9)}),
    max_size=12,
)
frames = (
    st.fixed_dictionaries({"op": st.just("create"), "key": keys, "value": values})
    | st.fixed_dictionaries({"op": st.just("batch"), "operations": members})
    | st.fixed_dictionaries({"op": st.just("batch_create"), "items": st.dictionaries(keys, values, max_size=20)})
    | st.fixed_dictionaries({"op": st.sampled_from(["read_many", "delete_many"]), "keys": st.lists(keys, max_size=20)})
    | st.fixed_dictionaries({"op": st.sampled_from(["ping", "count", "fly"]), "prefix": keys})
)


def parse(body, **limits):
    return Parser(Limits(**limits)).parse(body if isinstance(body, bytes) else json.dumps(body).encode())


def in_steps(body, **limits):
    steps, count = Parser(Limits(**limits)).steps(body), 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value, count
        count += 1


def told(function, *arguments, **limits):
    try:
        found = function(*arguments, **limits)
    except DataStoreError as error:
        return type(error), str(error), error.keys, error.index
    return found[0] if function is in_steps else found


class TestSteps:
    @pytest.mark.parametrize("small", [False, True])
    @given(
        frame=frames,
        cut=st.integers(0, 3),
        indent=st.sampled_from([None, 1]),
        most=st.sampled_from([3, 10_000]),
    )
    def test_steps_give_the_same_as_parse(self, small, frame, cut, indent, most):
        """The same request or the same error, in pieces of any size."""
        body = json.dumps(frame, indent=indent, ensure_ascii=bool(cut % 2)).encode()
        body = body[: len(body) - cut]
        whole = told(parse, body, max_batch=most)
        with pytest.MonkeyPatch.context() as patched:
            if small:
                patched.setattr(chunks, "_CHUNK_BYTES", 32)
                patched.setattr(parser, "LARGE_BYTES", 16)
                patched.setattr(parser, "_STEP_BYTES", 16)
            pieces = told(in_steps, body, max_batch=most)

        assert whole == pieces

    @pytest.mark.parametrize(
        "frame",
        [
            {"op": "batch_create", "items": {f"k{n}": "x" * 100 for n in range(9999)}},
            {"op": "batch", "operations": [{"op": "put", "key": f"k{n}", "value": "x" * 100} for n in range(9999)]},
            {"op": "delete_many", "keys": [f"{n}" + "k" * 100 for n in range(9999)]},
        ],
        ids=lambda frame: frame["op"],
    )
    def test_large_frames_take_many_steps(self, frame):
        """Between which others are served."""
        request, count = in_steps(json.dumps(frame).encode())

        assert count > 5
        assert 9999 == len(getattr(request, OPERATIONS[frame["op"]].concerns))

    def test_too_many_members_are_refused_before_they_are_all_parsed(self):
        """The steps end when it shows."""
        steps = Parser(Limits(max_batch=100)).steps(
            json.dumps({"op": "delete_many", "keys": ["k"] * 1_000_000}).encode()
        )
        next(steps)
        with pytest.raises(BatchTooLargeError, match=r"delete_many has more than 100 members.*max_batch"):
            next(steps)

    def test_member_of_the_wrong_type_is_named_by_its_index(self):
        """Counted from the beginning, in whichever piece it is."""
        frame = {"op": "delete_many", "keys": ["k" * 100] * 5000 + [7]}
        with pytest.raises(RequestError, match=r"field 'keys\[5000\]'\): Expected str, got int"):
            parse(frame)


class TestFields:
    def test_fields_and_defaults_are_those_of_the_declaration(self):
        """Every operation with the fewest fields that it takes has the defaults of its model."""
        required = {"key": "k", "value": 1, "keys": ["k"], "items": {"k": 1}, "operations": [], "ttl": None}
        for op, model in OPERATIONS.items():
            given_fields = {
                name: required[name]
                for name, field in model.model_fields.items()
                if name != "op" and field.is_required()
            }
            request = parse({"op": op, **given_fields})
            expected = model(op=op, **given_fields)
            for name in model.model_fields:
                found = getattr(request, name)
                if name == "value":
                    found = json.loads(found)
                elif name == "items":
                    found = {key: json.loads(value) for key, value in found.items()}
                assert getattr(expected, name) == found

    def test_values_are_compact_and_otherwise_as_they_were_sent(self):
        """In a request, in items and in operations."""
        text = b'{"a" : [1.0, "\\u0061"]}'
        compact = b'{"a":[1.0,"\\u0061"]}'
        assert compact == parse(b'{"op":"put","key":"k","value":%s}' % text).value
        assert {"k": compact} == parse(b'{"op":"batch_create","items":{"k" : %s}}' % text).items
        (member,) = parse(b'{"op":"batch","operations":[ {"op":"put","key":"k","value":%s}]}' % text).operations
        assert compact == member.value


class TestErrors:
    @pytest.mark.parametrize(
        ("frame", "error", "said"),
        [
            ({"op": "fly"}, RequestError, "no operation 'fly', but there are create, read"),
            ({"op": "read"}, RequestError, "lacks the field 'key'"),
            ({"op": "ping", "x" * 100: 1}, RequestError, "unknown field: 'xxx"),
            ({"op": "read", "key": 1}, RequestError, r"field 'key'\): Expected str, got int"),
            ({"op": "list", "limit": 0}, RequestError, "field 'limit'"),
            ({"op": "list", "limit": 10_001}, RequestError, "field 'limit'"),
            ({"op": "put", "key": "k", "value": 1, "if_revision": -1}, RequestError, "field 'if_revision'"),
            ({"op": "put", "key": "k", "value": 1, "ephemeral": "yes"}, RequestError, "field 'ephemeral'"),
            ({"op": "watch", "wait": 3601}, RequestError, "field 'wait'"),
            ({"op": "ping", "id": "a:1\n"}, RequestError, "field 'id'"),
            ({"op": "batch", "operations": {}}, RequestError, "field 'operations'.*array"),
            ({"op": "batch_create", "items": []}, RequestError, "field 'items'.*object"),
            ({"op": "read_many", "keys": "k"}, RequestError, "field 'keys'.*array"),
            ({"op": "read_many", "keys": ["k", 1]}, RequestError, r"field 'keys\[1\]'.*Expected str"),
            ({"op": "batch", "operations": [{"op": "clear"}]},
             RequestError, "cannot have the operation 'clear', but create"),
            ({"op": "batch", "operations": [{"op": "put", "key": "k"}]}, RequestError, "lacks the field 'value'"),
            ({"op": "batch", "operations": [{"op": "pop", "key": "k", "id": "a:1"}]},
             RequestError, "Operation 0 .* an id"),
            (b'{"op":"put","key":"k","value":NaN}', InvalidValueError, "key 'k' is not JSON: NaN"),
            (b'{"op":"put","key":"k","value":1,"ttl":Infinity}', InvalidTTLError, "above 0"),
            (b'{"op":"put","key":"k","value":1,"ttl":1e999}', InvalidTTLError, "above 0"),
            (b'{"op":"put","key":"k","value":"\xff"}', RequestError, "not UTF-8 at byte 31"),
            (b'{"op":"put","key":"k","value":%s}' % (b"[" * 200_000 + b"]" * 200_000),
             RequestError, "nested too deeply"),
            (b'{"op":"batch","operations":%s}' % (b"[" * 900 + b"]" * 900), RequestError, "operations"),
            (b"", RequestError, "no request"),
            (b"[]", RequestError, "no request"),
        ],
        ids=str,
    )  # fmt: skip
    def test_each_says_what_is_wrong(self, frame, error, said):
        """With the field, and what may be there; shortly, whatever was sent."""
        with pytest.raises(error, match=said) as caught:
            parse(frame)

        assert len(str(caught.value)) < 1000
        assert "`" not in str(caught.value)

    def test_operation_of_a_batch_is_named_by_its_index(self):
        """As where it is refused later."""
        operations = [{"op": "put", "key": "a", "value": 1}, {"op": "put", "key": "b", "value": "x" * 100}]
        with pytest.raises(ValueTooLargeError) as caught:
            parse({"op": "batch", "operations": operations}, max_value_bytes=50)

        assert (1, ("b",)) == (caught.value.index, caught.value.keys)

    @pytest.mark.parametrize(
        ("op", "field", "member"),
        [
            ("batch", "operations", lambda n: {"op": "delete", "key": f"k{n}"}),
            ("delete_many", "keys", lambda n: f"k{n}"),
            ("read_many", "keys", lambda n: f"k{n}"),
            ("batch_create", "items", None),
        ],
    )
    def test_batches_at_their_limit(self, op, field, member):
        """As many members as max_batch pass, one more is refused."""

        def frame(count):
            return {
                "op": op,
                field: {f"k{n}": 1 for n in range(count)} if member is None else [*map(member, range(count))],
            }

        assert 10 == len(getattr(parse(frame(10), max_batch=10), field))
        with pytest.raises(BatchTooLargeError, match=rf"{op} has more than 10 members"):
            parse(frame(11), max_batch=10)

    @given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
    def test_noise_is_refused(self, noise):
        """Never with another error than a RequestError."""
        try:
            request = parse(noise)
        except RequestError:
            return
        assert isinstance(request, msgspec.Struct)
