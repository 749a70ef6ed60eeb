"""Each operation and each refusal, as a program in any language sees them through a REQ socket."""

import json
import os
import time

import pytest


def test_every_operation_has_the_contracts_reply(ask, key):
    """The fields of the replies are those of the contract, and no others."""
    revision = ask({"op": "status"})["status"]["revision"]
    created = ask({"op": "create", "key": key, "value": {"name": "value1"}, "ttl": 5})
    read = ask({"op": "read", "key": key})
    expires_at = read.pop("expires_at")
    deleted = ask({"op": "delete", "key": key})
    batch = ask({"op": "batch_create", "items": {f"{key}a": 1, f"{key}b": [2]}, "ttl": 10})

    assert {"ok": True, "revision": revision + 1} == created
    assert {"ok": True, "value": {"name": "value1"}, "revision": revision + 1} == read
    assert expires_at == pytest.approx(time.time() + 5, abs=5)
    assert {"ok": True, "revision": revision + 2} == deleted
    assert {"ok": True, "revision": revision + 3} == batch
    assert {"ok": True} == ask({"op": "ping"})


def test_a_key_without_ttl_has_no_expiry(ask, key):
    """`expires_at` is absent, not null; `"ttl":null` is the same as none."""
    ask({"op": "create", "key": key, "value": None, "ttl": None})

    assert {"ok", "value", "revision"} == set(ask({"op": "read", "key": key}))


def test_status_tells_of_the_daemon(ask, shared_daemon):
    """Pid, endpoint and file are the real ones."""
    status = ask({"op": "status"})["status"]

    assert shared_daemon.process.pid == status["pid"]
    assert shared_daemon.endpoint == status["endpoint"]
    assert str(shared_daemon.file) == status["file"]
    assert os.path.getsize(status["file"]) == status["file_bytes"]
    assert "always" == status["sync"]


def test_compact_is_accepted(ask, key):
    """A compaction beside service changes nothing that can be read."""
    ask({"op": "create", "key": key, "value": "kept"})

    assert {"ok": True} == ask({"op": "compact"})
    assert "kept" == ask({"op": "read", "key": key})["value"]


def test_stop_is_answered_before_the_end(connect, daemon):
    """The daemon answers, ends with exit code 0 and takes its socket with it."""
    socket = connect(daemon.endpoint)
    socket.send(b'{"op":"stop"}')

    assert b'{"ok":true}' == socket.recv()
    assert 0 == daemon.process.wait(timeout=30)
    assert ["kvd.log", "run", "store.json"] == sorted(os.listdir(daemon.directory))


def test_numbers_keep_their_value(ask, key):
    """Integers keep all digits, floats are doubles in their shortest form."""
    numbers = b"[123456789012345678901234567890,-0.0,1e16,5e-324,0.1,1.0,100.0,9007199254740993]"
    ask(b'{"op":"create","key":"%s","value":%s}' % (key.encode(), numbers))

    assert [repr(number) for number in json.loads(numbers)] == [
        repr(number) for number in ask({"op": "read", "key": key})["value"]
    ]


def test_integers_of_4300_digits(ask, key):
    """The documented bound of an integer's digits."""
    assert ask(b'{"op":"create","key":"%s","value":%s}' % (key.encode(), b"7" * 4300))["ok"]
    assert "InvalidValueError" == ask(b'{"op":"create","key":"%sx","value":%s}' % (key.encode(), b"7" * 4301))["error"]


def test_values_nest_190_deep(ask, key):
    """The documented bound of nesting."""
    for brackets in (b"[]", b"{}"):
        opening = brackets[:1] if brackets == b"[]" else b'{"a":'
        value = opening * 189 + brackets + brackets[1:] * 189
        name = f"{key}{brackets.decode()}".encode()

        assert ask(b'{"op":"create","key":"%s","value":%s}' % (name, value))["ok"]
        assert json.loads(value) == ask(b'{"op":"read","key":"%s"}' % name)["value"]


def test_white_space_and_escapes_do_not_matter(ask, key):
    """A request is JSON, however it is written."""
    escaped = "".join(f"\\u{ord(character):04x}" for character in key)

    assert ask(f' {{\n"op" :\t"create" , "value":"\\ud83d\\ude00", "key":"{escaped}"}}\r\n'.encode())["ok"]
    assert "😀" == ask({"op": "read", "key": key})["value"]


NO_REQUESTS = [
    b"",
    b" ",
    b"garbage",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf" + b'{"op":"ping"}',
    b"[]",
    b"null",
    b"1",
    b'"create"',
    b"NaN",
    b"{}",
    b'{"op"}',
    b"{'op':'ping'}",
    b'{"op":"ping"',
    b'{"op":"ping"}}',
    b'{"op":"ping"} x',
    b'{"op":"ping"}{"op":"ping"}',
    b'{"op":"ping",}',
    b'{"OP":"ping"}',
    b'{"op":"PING"}',
    b'{"op":"fly"}',
    b'{"op":1}',
    b'{"op":null}',
    b'{"op":["ping"]}',
    b'{"op":{}}',
    b'{"op":"ping","key":"k"}',
    b'{"op":"status","":1}',
    b'{"op":"read"}',
    b'{"op":"read","key":1}',
    b'{"op":"read","key":null}',
    b'{"op":"read","key":["k"]}',
    b'{"op":"read","key":"k","ttl":1}',
    b'{"op":"read","key":"k","value":1}',
    b'{"op":"read","Key":"k"}',
    b'{"op":"read","key":"k","key2":"k"}',
    b'{"op":"delete"}',
    b'{"op":"delete","key":"k","value":1}',
    b'{"op":"create","key":"k"}',
    b'{"op":"create","value":1}',
    b'{"op":"create","key":1,"value":1}',
    b'{"op":"create","key":"k","value":1,"extra":null}',
    b'{"op":"create","key":"k","value":1,"ttl":"5"}',
    b'{"op":"create","key":"k","value":1,"ttl":true}',
    b'{"op":"create","key":"k","value":1,"ttl":[5]}',
    b'{"op":"create","key":"k","value":undefined}',
    b'{"op":"create","key":"k","value":01}',
    b'{"op":"create","key":"k","value":.5}',
    b'{"op":"create","key":"k","value":+1}',
    b'{"op":"create","key":"k","value":0x1}',
    b'{"op":"create","key":"k","value":"\x01"}',
    b'{"op":"create","key":"k","value":"\xff"}',
    b'{"op":"create","key":"k","value":"\xc0\x80"}',
    b'{"op":"create","key":"a\nb","value":1}',
    b'{"op":"batch_create"}',
    b'{"op":"batch_create","items":[]}',
    b'{"op":"batch_create","items":null}',
    b'{"op":"batch_create","items":{"a":1},"key":"k"}',
    b'{"op":"batch_create","items":{"a":1},"ttl":"5"}',
    b'{"op":"batch_create","items":{1:1}}',
    b'{"op":"create","key":"k","value":1,"id":""}',
    b'{"op":"create","key":"k","value":1,"id":1}',
    b'{"op":"create","key":"k","value":1,"id":"a"}',
    b'{"op":"create","key":"k","value":1,"id":":1"}',
    b'{"op":"create","key":"k","value":1,"id":"a:"}',
    b'{"op":"create","key":"k","value":1,"id":"a:x"}',
    b'{"op":"create","key":"k","value":1,"id":"a:-1"}',
    b'{"op":"create","key":"k","value":1,"id":"a:1.5"}',
    b'{"op":"create","key":"k","value":1,"id":"a:1\\n"}',
    b'{"op":"create","key":"k","value":1,"id":"a\\u0001:1"}',
    '{"op":"create","key":"k","value":1,"id":"a:١"}'.encode(),
    b'{"op":"create","key":"k","value":1,"id":"%s:1"}' % (b"a" * 65),
    b'{"op":"create","key":"k","value":1,"id":"a:%s"}' % (b"1" * 19),
]


@pytest.mark.parametrize("request_", NO_REQUESTS, ids=lambda frame: ascii(frame)[2:50])
def test_what_is_no_request_is_refused_and_changes_nothing(ask, request_):
    """Garbage, wrong types, unknown operations, missing and extra fields are a RequestError, and service goes on."""
    before = ask({"op": "status"})["status"]["revision"]

    reply = ask(request_)

    assert {"ok", "error", "message", "keys"} == set(reply)
    assert (False, "RequestError", []) == (reply["ok"], reply["error"], reply["keys"])
    assert reply["message"].endswith(".")
    assert before == ask({"op": "status"})["status"]["revision"]


INVALID = {
    "InvalidKeyError": [b'""', b'"\\u0000"', b'"a\\n"', b'"\\u007f"', b'"\\u0085"'],
    "InvalidTTLError": [b"0", b"-1", b"-0.0", b"1e400", b"-1e400", b"9" * 400, b"NaN", b"Infinity"],
    "InvalidValueError": [
        b"[" * 300 + b"1" + b"]" * 300,
        b"7" * 4301,
        b"NaN",
        b"[Infinity]",
        b'{"a":-Infinity}',
        b"1e400",
        b"[[-1e400]]",
    ],
}
# The parser may find these invalid before anything knows what they are.
SURROGATES = [b'"\\ud800"', b'"\\udfff"', b'"\\ud800\\ud800"', b'"\xed\xa0\x80"']


@pytest.mark.parametrize(("error", "text"), [(error, text) for error, texts in INVALID.items() for text in texts])
def test_invalid_keys_values_and_ttls_have_their_own_errors(ask, key, error, text):
    """The errors are those of the clients; as in Python's json, NaN and Infinity are understood to be refused."""
    name = b'"%s"' % key.encode()
    before = ask({"op": "status"})["status"]["revision"]
    match error:
        case "InvalidKeyError":
            requests = [
                b'{"op":"create","key":%s,"value":1}' % text,
                b'{"op":"read","key":%s}' % text,
                b'{"op":"delete","key":%s}' % text,
                b'{"op":"batch_create","items":{%s:1,%s:2}}' % (name, text),
            ]
        case "InvalidValueError":
            requests = [
                b'{"op":"create","key":%s,"value":%s}' % (name, text),
                b'{"op":"batch_create","items":{"other":1,%s:%s}}' % (name, text),
            ]
        case _:
            requests = [
                b'{"op":"create","key":%s,"value":1,"ttl":%s}' % (name, text),
                b'{"op":"batch_create","items":{%s:1},"ttl":%s}' % (name, text),
            ]

    assert {error} == {ask(request)["error"] for request in requests}
    assert before == ask({"op": "status"})["status"]["revision"]


@pytest.mark.parametrize("text", SURROGATES, ids=ascii)
def test_lone_surrogates_are_refused(ask, key, text):
    """UTF-8 has no lone surrogates, so neither has a key nor a value."""
    name = key.encode()
    for request in (
        b'{"op":"create","key":%s,"value":1}' % text,
        b'{"op":"read","key":%s}' % text,
        b'{"op":"create","key":"%s","value":%s}' % (name, text),
        b'{"op":"create","key":"%s","value":{%s:1}}' % (name, text),
        b'{"op":"batch_create","items":{"%s":%s}}' % (name, text),
    ):
        assert ask(request)["error"] in ("RequestError", "InvalidKeyError", "InvalidValueError")
    assert "KeyNotFoundError" == ask({"op": "read", "key": key})["error"]


def test_of_names_that_repeat_the_last_counts(ask, key):
    """As in Python's json: in the request, in a batch and in a value."""
    ask(b'{"op":"create","key":"x","key":"%s","value":1,"value":{"a":1,"a":2},"op":"create"}' % key.encode())
    ask(b'{"op":"batch_create","items":{"%sb":1,"%sb":2}}' % (key.encode(), key.encode()))

    assert {"a": 2} == ask({"op": "read", "key": key})["value"]
    assert 2 == ask({"op": "read", "key": f"{key}b"})["value"]


def test_two_different_operations_in_a_request_are_refused(ask, key):
    """Nobody can mean both; the error says so, in a batch, too."""
    for request in (
        b'{"op":"ping","op":"create","key":"%s","value":1}' % key.encode(),
        b'{"op":"batch","operations":[{"op":"put","key":"%s","value":1,"op":"create"}]}' % key.encode(),
    ):
        reply = ask(request)
        assert ("RequestError", True) == (reply["error"], "'op' twice" in reply["message"])
    assert "KeyNotFoundError" == ask({"op": "read", "key": key})["error"]


def test_limits_are_named_with_their_setting(ask, key):
    """Each limit has its own error, which tells the number and what to set."""
    for request, error, setting in (
        ({"op": "create", "key": "k" * 257, "value": 1}, "KeyTooLongError", "max_key_length"),
        ({"op": "read", "key": "k" * 257}, "KeyTooLongError", "max_key_length"),
        ({"op": "delete", "key": "k" * 257}, "KeyTooLongError", "max_key_length"),
        ({"op": "create", "key": key, "value": "x" * (1 << 20)}, "ValueTooLargeError", "max_value_bytes"),
        ({"op": "batch_create", "items": dict.fromkeys(map(str, range(10_001)), 1)}, "BatchTooLargeError", "max_batch"),
    ):
        reply = ask(request)

        assert error == reply["error"]
        assert f"(setting {setting})" in reply["message"]


def test_a_values_size_is_that_of_its_compact_form(ask, key):
    """White space and escapes of the request do not count."""
    spaced = b"[" + b" " * 20_000 + b'"' + b"\\u0061" * 16_380 + b'"]'

    assert ask(b'{"op":"create","key":"%s","value":%s}' % (key.encode(), spaced))["ok"]
    assert ["a" * 16_380] == ask({"op": "read", "key": key})["value"]


def test_a_refusal_never_repeats_a_large_request(ask):
    """What was wrong is shown in a few words, however long it was."""
    long = "x" * 1_000_000
    for request in ({"op": long}, {"op": "ping", long: 1}, {"op": "ping", "id": long}, {long: 1}, {"op": [long]}):
        reply = ask(request)

        assert "RequestError" == reply["error"]
        assert len(reply["message"]) < 1000
