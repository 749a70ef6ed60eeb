"""Any frame at all gets one reply, the right one, and the daemon goes on."""

import json
import math

import pytest
import zmq
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from kvclient.contract import operations

# What the store refuses, as opposed to what is no request.
REFUSALS = {
    "KeyExistsError",
    "KeyNotFoundError",
    "KeyTooLongError",
    "InvalidKeyError",
    "ValueTooLargeError",
    "InvalidValueError",
    "InvalidTTLError",
    "BatchTooLargeError",
}

numbers = st.integers() | st.floats() | st.sampled_from([10**400, -(2**63), 2**64, 1e308, 5e-324])
text = st.text(max_size=40) | st.sampled_from(["", "key", "\ud800", "\x00", "😀", "k" * 33, "op", "\\", '"'])
values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
ops = st.sampled_from(["create", "read", "delete", "batch_create", "ping", "status", "compact", "fly", ""])
ids = st.builds("{}:{}".format, text, st.integers(-1, 10**19)) | text
likely = st.fixed_dictionaries(
    {"op": ops},
    optional={
        "key": text,
        "value": values,
        "items": st.dictionaries(text, values, max_size=4),
        "ttl": numbers | st.none(),
        "id": ids,
    },
)
wild = st.dictionaries(st.sampled_from(["op", "key", "value", "items", "ttl", "id"]) | text, values, max_size=6)
encoded = st.builds(
    lambda request, ascii_: json.dumps(request, ensure_ascii=ascii_).encode("utf-8", "surrogatepass"),
    likely | wild | values,
    st.booleans(),
)
scraps = st.binary(max_size=8) | st.sampled_from(
    [b"[", b"]", b"{", b"}", b'"', b",", b":", b"\\u", b"\\ud800", b"1e400", b"NaN", b"-", b"\x00", b"\xff", b"null"]
)


@st.composite
def mutated(draw):
    """A frame in which a few bytes were changed, cut out, put in or repeated."""
    frame = draw(encoded)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(frame)))
        end = min(len(frame), start + draw(st.integers(0, 6)))
        middle = draw(scraps | st.just(frame[start:end] * 3))
        frame = frame[:start] + middle + frame[end:]
    return frame


@pytest.fixture(scope="module")
def line(shared_daemon):
    """One connection for all examples: if one of them stays without an answer, the next one shows it."""
    with zmq.Context() as context, context.socket(zmq.REQ) as line:
        line.setsockopt(zmq.LINGER, 0)
        line.setsockopt(zmq.RCVTIMEO, 30_000)
        line.connect(shared_daemon.endpoint)
        yield line


def ask(line, frame):
    line.send(frame)
    return json.loads(line.recv().decode())


def understood(frame):
    """The request that the wire's models see in a frame, or None."""
    try:
        return operations.requests.validate_json(frame)
    except ValidationError:
        return None


def judge(line, frame):
    """Compare the reply to any frame with what the wire's models say of it."""
    request = understood(frame)
    assume(not (request is not None and request.op == "stop"))
    reply = ask(line, frame)
    if reply["ok"] is True:
        assert request is not None
        assert None is not operations.replies.validate_python(reply)
    else:
        assert {"ok", "error", "message", "keys"} == set(reply)
        assert len(reply["message"]) < 2000
        if reply["error"] == "RequestError":
            assert request is None or "is older than" in reply["message"]
        else:
            assert reply["error"] in REFUSALS
    # With an id it may have been one from before, answered again.
    created = request is not None and request.op == "create" and reply["ok"] and request.id is None
    if created and (request.ttl is None or request.ttl > 1000):
        assert repr(json.loads(frame)["value"]) == repr(ask(line, key_of("read", request.key))["value"])
        assert ask(line, key_of("delete", request.key))["ok"]


def key_of(op, key):
    return json.dumps({"op": op, "key": key}).encode()


@given(frame=encoded)
def test_generated_requests(line, frame):
    """Requests of right and wrong types are carried out or refused as the wire's models say."""
    judge(line, frame)


@given(frame=mutated())
def test_mutated_requests(line, frame):
    """So are requests in which something was damaged."""
    judge(line, frame)


@given(frame=st.binary(max_size=200))
def test_noise(line, frame):
    """Bytes that mean nothing are refused."""
    judge(line, frame)


@given(frames=st.lists(st.binary(max_size=20) | st.just(b'{"op":"ping"}'), min_size=2, max_size=6))
def test_several_frames(line, frames):
    """More than one frame is refused, whatever they are."""
    line.send_multipart(frames)

    assert "RequestError" == json.loads(line.recv())["error"]


MILLION = 1_000_000


@pytest.mark.parametrize(
    "frame",
    [
        b"[" * MILLION,
        b"{" * MILLION,
        b'{"a":' * MILLION,
        b"]" * MILLION,
        b"[" * MILLION + b"]" * MILLION,
        b'{"op":"create","key":"deep","value":' + b"[" * MILLION + b"]" * MILLION + b"}",
        b'{"op":"create","key":"deep","value":' + b'{"a":' * MILLION + b"1" + b"}" * MILLION + b"}",
        b'{"op":"batch_create","items":{"deep":' + b"[" * MILLION,
        b'{"op":"create","key":"deep","value":1,"id":' + b"[" * MILLION,
        b'{"op":"create","key":"deep","value":1,"ttl":' + b"[" * MILLION + b"]" * MILLION + b"}",
        b"9" * MILLION,
        b'{"op":"create","key":"huge","value":' + b"9" * MILLION + b"}",
        b'{"op":"create","key":"huge","value":1,"ttl":' + b"9" * MILLION + b"}",
        b'{"op":"create","key":"huge","value":0.' + b"9" * MILLION + b"e999999999999}",
        b'{"op":"create","key":"huge","value":1e' + b"9" * MILLION + b"}",
        b'{"op":"create","key":"' + b"k" * MILLION + b'","value":1}',
        b'{"op":"create","key":"' + b"\\u0000" * MILLION + b'","value":1}',
        b'{"op":"create","key":"huge","value":"' + b"\\" * (MILLION + 1) + b'"}',
        b'{"op":"create","key":"huge","value":"' + b"\xff" * MILLION + b'"}',
        b'{"op":"batch_create","items":{' + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}}",
        b'{"op":"create","key":"huge",' + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}",
        b'{"op":"create","key":"huge","value":' + b",".join([b'1,"value":2'] * 100_000) + b"x}",
        b'{"op":"ping","id":"' + b"a" * MILLION + b':1"}',
        b" " * MILLION,
    ],
    ids=lambda frame: f"{frame[-1:]!a}-{frame[:40]!a}",
)
def test_a_million_of_anything_is_refused(line, frame):
    """Depth, digits, names and escapes by the million end in a refusal of a few words."""
    reply = ask(line, frame)

    assert reply["ok"] is False
    assert reply["error"] in {*REFUSALS, "RequestError"}
    assert len(reply["message"]) < 2000
    assert {"ok": True} == ask(line, b'{"op":"ping"}')


def test_the_daemon_is_none_the_worse(line, shared_daemon):
    """After all of the above it has its keys, and its file is one JSON object."""
    ask(line, b'{"op":"create","key":"survivor","value":1}')

    assert 1 == ask(line, key_of("read", "survivor"))["value"]
    assert 1 == json.loads(shared_daemon.file.read_text())["survivor"]["value"]
    assert "Traceback" not in shared_daemon.log.read_text()
    assert math.isfinite(ask(line, b'{"op":"status"}')["status"]["uptime"])
