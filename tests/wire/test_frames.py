"""Messages that are not a single frame behind an empty one, from peers that are no REQ sockets."""

import json

import pytest
import zmq

REFUSALS = [
    [b'{"op":"ping"}', b'{"op":"ping"}'],
    [b'{"op":"ping"}', b""],
    [b"", b'{"op":"ping"}'],
    [b"", b""],
    [b'{"op":', b'"ping"}'],
    [b""] * 100,
]


@pytest.mark.parametrize("frames", REFUSALS, ids=ascii)
def test_several_frames_are_refused(connect, shared_daemon, frames):
    """Whatever they hold, and the same socket is served after that."""
    socket = connect(shared_daemon.endpoint)
    socket.send_multipart(frames)

    assert "RequestError" == json.loads(socket.recv())["error"]
    socket.send(b'{"op":"ping"}')
    assert b'{"ok":true}' == socket.recv()


def test_dealers_keep_their_envelope(connect, shared_daemon):
    """A DEALER that puts the empty frame in front is served as a REQ is, with many requests under way."""
    socket = connect(shared_daemon.endpoint, zmq.DEALER)
    for _ in range(100):
        socket.send_multipart([b"", b'{"op":"ping"}'])

    assert [[b"", b'{"ok":true}']] * 100 == [socket.recv_multipart() for _ in range(100)]


@pytest.mark.parametrize(
    "frames",
    [
        [b'{"op":"ping"}'],
        [b'{"op":"ping"}', b""],
        [b'{"op":"ping"}', b'{"op":"ping"}'],
        [b"address", b"", b'{"op":"ping"}', b""],
        [b""],
        [b"", b"", b'{"op":"ping"}'],
    ],
    ids=ascii,
)
def test_dealers_without_the_empty_frame_are_refused(connect, shared_daemon, frames):
    """They get a RequestError, not silence, and are served once they put it there."""
    socket = connect(shared_daemon.endpoint, zmq.DEALER)
    socket.send_multipart(frames)

    assert "RequestError" == json.loads(socket.recv_multipart()[-1])["error"]
    socket.send_multipart([b"", b'{"op":"ping"}'])
    assert [b"", b'{"ok":true}'] == socket.recv_multipart()


@pytest.mark.parametrize("addresses", [[b"a"], [b"a", b"b" * 300, b"c"]], ids=ascii)
def test_what_stands_before_the_empty_frame_comes_back(connect, shared_daemon, addresses):
    """It is how a reply finds its way back through devices between a client and the daemon."""
    socket = connect(shared_daemon.endpoint, zmq.DEALER)
    socket.send_multipart([*addresses, b"", b'{"op":"ping"}'])

    assert [*addresses, b"", b'{"ok":true}'] == socket.recv_multipart()


def test_requests_that_carry_numbers(connect, shared_daemon):
    """REQ sockets that number their requests, to tell late replies, are served."""
    socket = connect(shared_daemon.endpoint)
    socket.setsockopt(zmq.REQ_CORRELATE, 1)
    for _ in range(3):
        socket.send(b'{"op":"ping"}')
        assert b'{"ok":true}' == socket.recv()


@pytest.mark.parametrize("size", [200, 250, 300, 16_000, 100_000, 3_000_000])
def test_messages_of_any_size(connect, start_daemon, size):
    """Frames with short and long lengths, requests and replies of one piece and of many."""
    daemon = start_daemon(max_value_bytes="4000000")
    socket = connect(daemon.endpoint)
    value = b'"%s"' % (b"x" * size)
    socket.send(b'{"op":"create","key":"key1","value":%s}' % value)
    assert b'{"ok":true,"revision":1}' == socket.recv()

    socket.send(b'{"op":"read","key":"key1"}')

    assert b'{"ok":true,"value":%s,"revision":1}' % value == socket.recv()
