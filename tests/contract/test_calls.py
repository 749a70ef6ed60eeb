"""The calls against the declarations: what the clients encode by hand is what the wire's models take, both ways."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ARGUMENTS, CALLS, keys, numbers, revisions, texts, values

from kvclient import (
    DataStoreError,
    Entry,
    Event,
    InvalidKeyError,
    InvalidTTLError,
    InvalidValueError,
    KeyNotFoundError,
    Owner,
    RequestError,
)
from kvclient.contract import calls
from kvclient.contract.operations import OPERATIONS, requests


def test_there_is_a_call_for_every_operation():
    """None is left out, and none is there that the wire does not have."""
    assert OPERATIONS.keys() == CALLS.keys()


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
def test_every_request_is_what_its_declaration_takes(name, data):
    """It validates, and each argument comes back as the field of its name; what was left out has its default."""
    arguments = data.draw(ARGUMENTS[name])

    call = CALLS[name](**arguments)
    request = requests.validate_json(calls.closed(call))

    assert type(request) is OPERATIONS[name]
    assert ("change" == request.does) == call.changes
    assert_comes_back(arguments, request)


def assert_comes_back(arguments, request):
    for name, field in type(request).model_fields.items():
        found = getattr(request, name)
        if name == "operations":
            for sent, member in zip(arguments[name], found, strict=True):
                assert_comes_back(sent, member)
        elif name != "op":
            assert arguments.get(name, field.default) == found


@pytest.mark.parametrize("name", [name for name, model in OPERATIONS.items() if "change" == model.does])
@given(data=st.data())
def test_a_change_is_closed_with_an_id(name, data):
    """It is one more field of the request."""
    call = CALLS[name](**data.draw(ARGUMENTS[name]))

    assert "client:7" == requests.validate_json(calls.identified(call.request, "client", 7)).id


counters = st.integers(0, 2**62)
owners = st.none() | st.builds(Owner, st.integers(1, 2**22), st.integers(0, 2**31))
times = st.floats(0, 1e12)
entries = st.builds(Entry, keys, values, st.integers(1), st.none() | times, owners)
events = st.one_of(
    st.builds(Event, st.just("created"), keys, values, st.none(), st.integers(1), times),
    st.builds(Event, st.just("updated"), keys, values, values, st.integers(1), times),
    st.builds(
        Event, st.sampled_from(["deleted", "expired", "released"]), keys, st.none(), values, st.integers(1), times
    ),
)


def replied(name, **fields):
    """Return a reply as the daemon writes it: what its model has, without what is not set."""
    model = OPERATIONS[name].reply
    return model.model_validate({"ok": True, **fields}).model_dump_json(exclude_unset=True).encode()


def shown(record):
    """Return the fields of a record as they are on the wire: without those that are None."""
    fields = {name: value for name, value in record._asdict().items() if value is not None or name == "value"}
    return {name: value._asdict() if isinstance(value, Owner) else value for name, value in fields.items()}


@given(entry=entries)
def test_read_and_entry_share_a_reply(entry):
    """One gets the value, the other all that is known."""
    fields = shown(entry)
    del fields["key"]
    reply = replied("read", **fields)

    assert entry == calls.entry(entry.key).result(reply)
    assert entry.value == calls.read(entry.key).result(reply)


@pytest.mark.parametrize("name", ["create", "put", "update", "delete", "batch_create", "expire"])
@given(revision=counters)
def test_changes_come_to_their_revision(name, revision):
    """Those that have nothing else to tell."""
    arguments = {"key": "key1", "value": 1, "ttl": 1, "items": {}}
    given_ = {field: arguments[field] for field in OPERATIONS[name].model_fields if field in arguments}

    assert revision == CALLS[name](**given_).result(replied(name, revision=revision))


@given(value=values, number=numbers, revision=counters)
def test_pop_and_increment_come_to_a_value(value, number, revision):
    """The one that was there, or the one that is there now."""
    assert value == calls.pop("key1").result(replied("pop", value=value, revision=revision))
    assert number == calls.increment("key1").result(replied("increment", value=number, revision=revision))


@given(found=st.lists(entries, max_size=5), more=st.booleans())
def test_a_page_comes_to_entries(found, more):
    """With values or without."""
    page = calls.page().result(replied("list", entries=[shown(entry) for entry in found], more=more))

    assert (found, more) == page


@given(found=st.lists(entries, max_size=5))
def test_read_many_comes_to_values_by_key(found):
    """Of those that were there."""
    reply = replied("read_many", entries=[shown(entry) for entry in found])

    assert {entry.key: entry.value for entry in found} == calls.read_many([]).result(reply)


@given(told=st.lists(events, max_size=5), revision=counters)
def test_a_watch_comes_to_events(told, revision):
    """With the value and the one before, where there is one."""
    reply = replied("watch", events=[_as_told(event) for event in told], revision=revision)

    assert (told, revision) == calls.watch().result(reply)


def _as_told(event):
    fields = event._asdict()
    if event.kind not in ("created", "updated"):
        del fields["value"]
    if event.kind == "created":
        del fields["previous"]
    return fields


@given(count=counters, revision=counters, gone=st.lists(keys, max_size=5), flag=st.booleans())
def test_the_other_replies(count, revision, gone, flag):
    """Numbers, names, yes or no, nothing."""
    assert count == calls.count().result(replied("count", count=count))
    assert flag is calls.exists("key1").result(replied("exists", exists=flag))
    assert gone == calls.delete_many([]).result(replied("delete_many", deleted=gone, revision=revision))
    assert count == calls.clear().result(replied("clear", deleted=count, revision=revision))
    results = [{"revision": revision}, {"value": 1, "revision": revision}]
    assert results == calls.batch([]).result(replied("batch", results=results, revision=revision))
    assert None is calls.ping().result(replied("ping"))
    assert "changed by others" == calls.ping().result(replied("ping", refusing="changed by others"))
    assert None is calls.compact().result(replied("compact"))
    assert None is calls.stop().result(replied("stop"))


def test_stats_and_status_come_to_what_the_daemon_tells():
    """As dicts, fields of a newer daemon included."""
    assert {"keys": 1, "new": 2} == calls.stats().result(b'{"ok":true,"stats":{"keys":1,"new":2}}')
    assert {"pid": 1, "new": 2} == calls.status().result(b'{"ok":true,"status":{"pid":1,"new":2}}')


def test_a_refusal_is_the_error_that_it_names():
    """With its message, its keys, and of a batch the index of the operation."""
    reply = b'{"ok":false,"error":"KeyNotFoundError","message":"Gone.","keys":["key1"],"index":3}'
    with pytest.raises(KeyNotFoundError, match=r"^Gone\.$") as caught:
        calls.batch([]).result(reply)

    assert (("key1",), 3) == (caught.value.keys, caught.value.index)


@pytest.mark.parametrize(
    "reply",
    [b"", b"HTTP/1.1 400", b"[]", b"7", b"{}", b'{"ok":true}', b'{"ok":false}', b"\xff", b'{"ok":false,"error":1}'],
)
def test_what_is_no_reply_is_told(reply):
    """DataStoreError shows the beginning of it."""
    with pytest.raises(DataStoreError, match="What answered is no kvd"):
        calls.read("key1").result(reply)


REFUSED = {
    "key": (InvalidKeyError, lambda: calls.put("", 1)),
    "value": (InvalidValueError, lambda: calls.update("key1", math.nan)),
    "ttl": (InvalidTTLError, lambda: calls.put("key1", 1, 0)),
    "ttl of expire": (InvalidTTLError, lambda: calls.expire("key1", -1)),
    "revision below 0": (RequestError, lambda: calls.delete("key1", if_revision=-1)),
    "revision True": (RequestError, lambda: calls.pop("key1", if_revision=True)),
    "revision too large": (RequestError, lambda: calls.pop("key1", if_revision=10**5000)),
    "revision text": (RequestError, lambda: calls.watch("", "1")),
    "keep_ttl": (RequestError, lambda: calls.put("key1", 1, keep_ttl=1)),
    "ephemeral 0": (InvalidValueError, lambda: calls.create("key1", 1, ephemeral=0)),
    "ephemeral text": (InvalidValueError, lambda: calls.create("key1", 1, ephemeral="me")),
    "by text": (InvalidValueError, lambda: calls.increment("key1", "1")),
    "by True": (InvalidValueError, lambda: calls.increment("key1", True)),
    "by infinite": (InvalidValueError, lambda: calls.increment("key1", math.inf)),
    "initial None": (InvalidValueError, lambda: calls.increment("key1", initial=None)),
    "prefix None": (InvalidKeyError, lambda: calls.count(None)),
    "prefix surrogate": (InvalidKeyError, lambda: calls.clear("\ud800")),
    "after": (InvalidKeyError, lambda: calls.page("", 3)),
    "limit 0": (RequestError, lambda: calls.page("", "", 0)),
    "one key for many": (InvalidKeyError, lambda: calls.read_many("key1")),
    "None for many": (InvalidKeyError, lambda: calls.delete_many(None)),
    "an invalid key of many": (InvalidKeyError, lambda: calls.delete_many(["a", "\n"])),
    "a dict for a batch": (RequestError, lambda: calls.batch({"op": "pop", "key": "a"})),
}


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_arguments_are_refused_before_anything_is_sent(case):
    """Each with its named error, in one line."""
    error, call = REFUSED[case]
    with pytest.raises(DataStoreError) as caught:
        call()

    assert error is type(caught.value)
    assert "\n" not in str(caught.value)


MEMBERS = {
    "no dict": (RequestError, 3, "An operation is an object such as"),
    "no op": (RequestError, {"key": "a"}, '"op" is one of create, put'),
    "an op that cannot be in a batch": (RequestError, {"op": "read", "key": "a"}, '"op" is one of create, put'),
    "a field missing": (RequestError, {"op": "put", "key": "a"}, "put needs the field 'value'"),
    "expire without ttl": (RequestError, {"op": "expire", "key": "a"}, "expire needs the field 'ttl'"),
    "a field too many": (RequestError, {"op": "pop", "key": "a", "ttl": 1}, "pop has no field 'ttl'"),
    "an id": (RequestError, {"op": "pop", "key": "a", "id": "a:1"}, "pop has no field 'id'"),
    "key": (InvalidKeyError, {"op": "pop", "key": ""}, "cannot be empty"),
    "value": (InvalidValueError, {"op": "put", "key": "a", "value": math.nan}, "is not JSON"),
    "ttl": (InvalidTTLError, {"op": "expire", "key": "a", "ttl": 0}, "above 0"),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_an_invalid_operation_of_a_batch_is_named_by_its_index(case):
    """Counted from 0, in `index` and in the message."""
    error, member, reason = MEMBERS[case]
    with pytest.raises(DataStoreError, match="Operation 1 of the batch: ") as caught:
        calls.batch([{"op": "increment", "key": "n"}, member])

    assert (error, 1) == (type(caught.value), caught.value.index)
    assert reason in str(caught.value)


@given(prefix=texts, after=revisions)
def test_a_watch_waits_as_long_as_it_says(prefix, after):
    """The daemon and the client know of the same seconds."""
    call = calls.watch(prefix, after, wait=12.5)

    assert 12.5 == call.wait == json.loads(call.request)["wait"]
