"""Both transports say the same: the same bytes are sent to a daemon of each kind, and the replies compared."""

import json
import tempfile
from pathlib import Path

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from processes import Daemon, wait_until

INTRODUCTION = (b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL").ljust(
    64, b"\x00"
) + b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
LAST = {"op": "read", "key": "the last one"}

keys = st.sampled_from(["a", "b", "c:1", "c:2", "ключ"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
requests = st.one_of(
    st.fixed_dictionaries({"op": st.sampled_from(["create", "put"]), "key": keys, "value": values}),
    st.fixed_dictionaries({"op": st.sampled_from(["read", "delete", "exists", "pop", "increment"]), "key": keys}),
    st.fixed_dictionaries({"op": st.sampled_from(["count", "list", "clear"]), "prefix": st.sampled_from(["", "c:"])}),
    st.dictionaries(st.sampled_from(["op", "key", "value", "ttl", "id", "x"]), values, max_size=4),
)
bodies = st.one_of(requests.map(lambda request: json.dumps(request).encode()), st.binary(max_size=300))
# Hypothesis tries what is in the code as well, and among that is the request that ends a daemon.
bodies = bodies.filter(lambda body: not any(op in body for op in (b"stop", b"watch", b"stat", b"compact")))
messages = st.one_of(
    bodies.map(lambda body: [b"", body]),
    st.tuples(st.lists(st.binary(min_size=1, max_size=40), max_size=3), bodies).map(lambda m: [*m[0], b"", m[1]]),
    st.lists(bodies, min_size=1, max_size=4),
)


@pytest.fixture(scope="module")
def daemons():
    with tempfile.TemporaryDirectory(prefix="kvd-") as one, tempfile.TemporaryDirectory(prefix="kvd-") as other:
        both = [
            Daemon(Path(place), "--sync", "never", transport=kind).start()
            for place, kind in ((one, "native"), (other, "libzmq"))
        ]
        yield both
        for daemon in both:
            daemon.kill()


def framed(parts):
    """Return the frames of a message."""
    said = b""
    for number, part in enumerate(parts, 1):
        more = number < len(parts)
        if len(part) < 256:
            said += bytes([more, len(part)]) + part
        else:
            said += bytes([2 | more]) + len(part).to_bytes(8) + part
    return said


def replies(daemon, said, sizes):
    """Send bytes in pieces of some sizes, and a last request, and return all that is answered until that is."""
    said += framed([b"", json.dumps(LAST).encode()])
    heard = bytearray()
    found = []
    with daemon.raw() as connection:
        connection.sendall(INTRODUCTION[:64])
        while len(heard) < 64:  # libzmq takes nothing behind a greeting before it has sent its own
            heard += connection.recv(65536)
        connection.sendall(INTRODUCTION[64:])
        for size in sizes:
            connection.sendall(said[:size])
            said = said[size:]
        connection.sendall(said)
        while not found or b"the last one" not in found[-1][-1]:
            data = connection.recv(65536)
            assert data, found
            heard += data
            found = parsed(heard)
    return [[*envelope, told(body)] for *envelope, body in found]


def parsed(heard):
    """Return the messages behind the greeting and READY, each as its frames."""
    at, messages, frames = 64, [], []
    while at + 2 <= len(heard):
        flags, long = heard[at], heard[at] & 2
        size = int.from_bytes(heard[at + 1 : at + 9]) if long else heard[at + 1]
        start = at + (9 if long else 2)
        if len(heard) < start + size:
            break
        if not flags & 4:
            frames.append(bytes(heard[start : start + size]))
            if not flags & 1:
                messages.append(frames)
                frames = []
        at = start + size
    return messages


def told(body):
    """Return a reply without the instant of an expiry, which differs."""
    reply = json.loads(body)
    return {name: value for name, value in reply.items() if name != "expires_at"}


@settings(deadline=None)
@given(said=st.lists(messages, max_size=6), sizes=st.lists(st.integers(1, 120), max_size=5))
def test_the_same_replies_to_the_same_bytes(daemons, said, sizes):
    """Whatever is asked, in whatever envelope and pieces, both answer alike, in order."""
    for daemon in daemons:
        daemon.ask(b'{"op":"clear","prefix":""}')
    sent = b"".join(map(framed, said))

    native, libzmq = (without_revisions(replies(daemon, sent, sizes)) for daemon in daemons)

    assert native == libzmq
    assert len(native) == len(said) + 1


def without_revisions(found):
    """Revisions differ where one of the two was cleared of more keys."""
    return json.loads(
        json.dumps(found, default=repr), object_hook=lambda each: {k: v for k, v in each.items() if k != "revision"}
    )


class TestLibzmq:
    @pytest.fixture
    def daemon(self, start_daemon):
        return start_daemon(transport="libzmq")

    def test_a_name_that_was_another_s(self, daemon):
        """Who takes the name of a peer that is gone gets its own replies, and is known as what it is."""
        with zmq.Context() as context:
            for number in range(3):
                with context.socket(zmq.REQ) as asking:
                    asking.setsockopt(zmq.IDENTITY, b"somebody")
                    asking.connect(daemon.endpoint)
                    asking.send(b'{"op":"put","key":"key%d","value":1}' % number)
                    assert asking.recv().startswith(b'{"ok":true')
                wait_until(lambda: json.loads(daemon.ask(b'{"op":"stats"}'))["stats"]["peers"] == 1)

    def test_a_peer_that_is_far_ahead(self, daemon):
        """It is disconnected, and others are served."""
        with daemon.raw() as connection:
            connection.sendall(INTRODUCTION[:64])
            connection.recv(64)
            connection.sendall(INTRODUCTION[64:] + framed([b"", b'{"op":"watch","wait":60}']))
            ping = framed([b"", b'{"op":"ping"}'])
            with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: PT012
                for _ in range(1000):
                    connection.sendall(100 * ping)

        assert b'{"ok":true}' == daemon.ask(b'{"op":"ping"}')
        assert "sent 1000 requests ahead" in daemon.log.read_text()

    def test_who_connects_is_known(self, daemon):
        """By its pid and uid, as the kernel tells libzmq."""
        (process,) = json.loads(daemon.ask(b'{"op":"status"}'))["status"]["processes"]

        import os

        assert (os.getpid(), os.getuid()) == (process["pid"], process["uid"])
