"""`kvd schema` is JSON Schema, and what goes over the wire is what it says."""

import json
import os
import subprocess

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from kvclient.contract.operations import OPERATIONS
from processes import KVD


@pytest.fixture(scope="session")
def schema():
    return json.loads(subprocess.run([*KVD, "schema"], capture_output=True, check=True).stdout)


@pytest.fixture(scope="session")
def validate(schema):
    """Return a function that validates against one of the definitions."""
    validators = {
        name: Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]}) for name in schema["$defs"]
    }

    def validate(name, document):
        validators[name].validate(document)

    return validate


def test_it_is_valid_json_schema(schema):
    """Of the version that it names."""
    assert "https://json-schema.org/draft/2020-12/schema" == schema["$schema"]
    Draft202012Validator.check_schema(schema)


def test_it_has_every_operation(schema):
    """Its request and its reply, beside those that stand for any."""
    assert schema["$defs"].keys() >= {"Request", "Reply", *OPERATIONS, *(f"{name}.reply" for name in OPERATIONS)}


EVERYTHING = [
    {"op": "create", "key": "key1", "value": {"name": "value1"}, "ttl": 1000, "id": "schema:1"},
    {"op": "put", "key": "key2", "value": 7, "ttl": None, "keep_ttl": False, "if_revision": 0, "ephemeral": True},
    {"op": "put", "key": "key3", "value": None, "ephemeral": os.getpid()},
    {"op": "read", "key": "key1"},
    {"op": "read", "key": "key2"},
    {"op": "update", "key": "key1", "value": [1, 2.5, "x"], "keep_ttl": True},
    {"op": "increment", "key": "key2", "by": 0.5, "initial": 3, "ttl": 5.5},
    {"op": "exists", "key": "key1"},
    {"op": "count", "prefix": "key"},
    {"op": "list"},
    {"op": "list", "prefix": "key", "after": "key1", "limit": 1, "values": True},
    {"op": "read_many", "keys": ["key1", "key2", "absent"]},
    {"op": "batch_create", "items": {"key4": 4, "key5": [5]}, "ttl": 0.001},
    {
        "op": "batch",
        "operations": [
            {"op": "create", "key": "key6", "value": 6},
            {"op": "put", "key": "key6", "value": 7},
            {"op": "update", "key": "key6", "value": 8},
            {"op": "increment", "key": "key6"},
            {"op": "expire", "key": "key6", "ttl": 1000},
            {"op": "pop", "key": "key6"},
            {"op": "create", "key": "key7", "value": 1},
            {"op": "delete", "key": "key7"},
        ],
    },
    {"op": "expire", "key": "key1", "ttl": None},
    {"op": "pop", "key": "key2", "if_revision": None},
    {"op": "delete_many", "keys": ["key3", "absent"]},
    {"op": "delete", "key": "key1"},
    {"op": "watch", "prefix": "key", "after": 0, "wait": 0, "limit": 1000},
    {"op": "watch"},
    {"op": "clear", "prefix": "key"},
    {"op": "stats"},
    {"op": "status"},
    {"op": "ping"},
    {"op": "compact"},
    {"op": "stop"},
]


def test_requests_and_replies_are_what_it_says(start_daemon, validate):
    """All operations, with all of their fields."""
    daemon = start_daemon()
    assert OPERATIONS.keys() == {request["op"] for request in EVERYTHING}

    for request in EVERYTHING:
        reply = json.loads(daemon.ask(json.dumps(request).encode()))
        assert reply["ok"], (request, reply)
        for name, document in {
            "Request": request,
            request["op"]: request,
            "Reply": reply,
            f"{request['op']}.reply": reply,
        }.items():
            validate(name, document)


REFUSED = [
    b'{"op":"read","key":"absent"}',
    b'{"op":"batch","operations":[{"op":"put","key":"a","value":1},{"op":"pop","key":"absent"}]}',
    b'{"op":"put","key":"a","value":1,"if_revision":12345}',
    b'{"op":"put","key":"a","value":1,"ephemeral":-1}',
    b'{"op":"watch","after":123456789}',
]
MALFORMED = [
    b'{"op":"launch"}',
    b'{"op":"read"}',
    b'{"op":"read","key":7}',
    b'{"op":"read","key":""}',
    b'{"op":"read","key":"a","extra":1}',
    b'{"op":"put","key":"a","value":1,"ttl":0}',
    b'{"op":"put","key":"a","value":1,"ttl":"5"}',
    b'{"op":"put","key":"a","value":1,"if_revision":-1}',
    b'{"op":"put","key":"a","value":1,"id":"no number"}',
    b'{"op":"list","limit":0}',
    b'{"op":"list","limit":10001}',
    b'{"op":"watch","wait":3601}',
    b'{"op":"batch","operations":[{"op":"read","key":"a"}]}',
    b'{"op":"batch_create","items":[]}',
    b'{"op":"delete_many","keys":["\\n"]}',
    b"[]",
]


@pytest.mark.parametrize("request_", REFUSED)
def test_refusals_are_what_it_says(shared_daemon, validate, request_):
    """Of requests that are well-formed."""
    reply = json.loads(shared_daemon.ask(request_))

    assert reply["ok"] is False
    validate("Request", json.loads(request_))
    validate("Reply", reply)
    validate("Refusal", reply)


@pytest.mark.parametrize("request_", MALFORMED)
def test_what_it_does_not_allow_the_daemon_refuses(shared_daemon, validate, request_):
    """With a reply that it allows."""
    reply = json.loads(shared_daemon.ask(request_))

    assert reply["ok"] is False
    validate("Reply", reply)
    with pytest.raises(ValidationError):
        validate("Request", json.loads(request_))
