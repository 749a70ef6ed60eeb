"""Calls under a prefix: every operation concerns the keys that it would, with the prefix, and tells of them without."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ARGUMENTS, CALLS, keys, texts

from kvclient import DataStoreError, KeyExistsError, KeyTooLongError
from kvclient.contract import calls
from kvclient.contract.operations import OPERATIONS, requests
from kvclient.contract.prefixed import CONCERNS, strip, under

# What could be taken for the end of a string, or for the opening of a field.
awkward = st.sampled_from(['"', "\\", 'x",', '","after":"', '"key":"', "é😀", "a:", "{", '"]']) | keys


def test_each_operation_has_keys_where_it_declares_them():
    """In no other field, and none is forgotten."""
    assert {name: model.concerns for name, model in OPERATIONS.items()} == CONCERNS


def sent(call):
    return requests.validate_json(calls.closed(call)).model_dump()


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data(), prefix=awkward | st.just(""))
def test_the_request_has_the_prefix_before_each_key_and_nothing_else_changes(name, data, prefix):
    """Whatever the texts in it look like."""
    call = CALLS[name](**data.draw(ARGUMENTS[name]))
    expected, field = sent(call), CONCERNS[name]
    if field in ("key", "prefix"):
        expected[field] = prefix + expected[field]
    if name == "list":
        expected["after"] = prefix + expected["after"]
    if field == "keys":
        expected["keys"] = [prefix + key for key in expected["keys"]]
    if field == "items":
        expected["items"] = {prefix + key: value for key, value in expected["items"].items()}
    if field == "operations":
        for member in expected["operations"]:
            member["key"] = prefix + member["key"]

    changed = under(prefix, call)

    assert expected == sent(changed)
    assert (call.changes, call.wait) == (changed.changes, changed.wait)


@given(prefix=awkward, key=awkward, after=awkward, inner=awkward)
def test_awkward_texts_are_no_fields(prefix, key, after, inner):
    """Quotes, backslashes, names of fields."""
    assert prefix + key == sent(under(prefix, calls.put(key, {"key": key, "after": after})))["key"]
    assert [prefix + key, prefix + after] == sent(under(prefix, calls.read_many([key, after])))["keys"]
    page = sent(under(prefix, calls.page(inner, after, 3, values=True)))

    assert (prefix + inner, prefix + after, 3, True) == tuple(
        page[name] for name in ("prefix", "after", "limit", "values")
    )


def answered(call, **fields):
    return call.result(json.dumps({"ok": True, **fields}).encode())


@given(prefix=awkward, names=st.lists(keys, max_size=4))
def test_the_reply_tells_of_keys_without_it(prefix, names):
    """A list, several values, what was deleted, and events; of the key that is the prefix there are no events."""
    entries = [{"key": prefix + name, "value": 1, "revision": 7} for name in names]
    events = [
        {"kind": "created", "key": key, "value": 1, "revision": 7, "time": 1.5}
        for key in (prefix, *(prefix + name for name in names))
    ]

    page = answered(under(prefix, calls.page()), entries=entries, more=False)
    values = answered(under(prefix, calls.read_many(names)), entries=entries)
    deleted = answered(under(prefix, calls.delete_many(names)), deleted=[prefix + name for name in names], revision=7)
    told = answered(under(prefix, calls.watch()), events=events, revision=7)

    assert names == [entry.key for entry in page.entries] == deleted == [event.key for event in told.events]
    assert dict.fromkeys(names, 1) == values


@given(prefix=awkward, key=texts)
def test_what_is_told_of_a_value_stays(prefix, key):
    """It may look like a key of the store."""
    value = [prefix + key, {prefix: prefix}]

    assert value == answered(under(prefix, calls.read("a")), value=value, revision=1)
    assert [{"value": value}] == answered(under(prefix, calls.batch([])), results=[{"value": value}], revision=1)


def test_an_error_names_keys_without_it():
    """In its message and in `keys`."""
    error = KeyExistsError(
        "2 keys were refused. Key 'app:a' exists. Key \"app:it's\" exists.", ["app:a", "app:it's"], 3
    )
    strip(error, "app:")

    assert "2 keys were refused. Key 'a' exists. Key \"it's\" exists." == str(error) == error.args[0]
    assert (("a", "it's"), 3) == (error.keys, error.index)


def test_a_key_that_is_too_long_is_named_as_it_is():
    """It is the whole key that has too many characters."""
    error = KeyTooLongError("Key 'app:a' has 5 characters; the limit is 4.", ["app:a"])
    strip(error, "app:")

    assert ("Key 'app:a' has 5 characters; the limit is 4.", ("app:a",)) == (str(error), error.keys)


def test_an_error_about_no_key_stays():
    """Whatever it says."""
    error = DataStoreError("The disk is full.")
    strip(error, "The ")

    assert "The disk is full." == str(error)
