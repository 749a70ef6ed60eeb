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
        [b"address", b"", b'{"op":"ping"}'],
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
