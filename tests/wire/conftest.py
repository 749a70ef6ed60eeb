"""Fixtures for tests of the wire, which know ZeroMQ and JSON and nothing of kvclient."""

import json

import pytest
import zmq


@pytest.fixture(scope="session")
def context():
    with zmq.Context() as context:
        yield context


@pytest.fixture
def connect(context):
    """Connect sockets of any kind, which close with the test."""
    sockets = []

    def connect(endpoint, kind=zmq.REQ):
        socket = context.socket(kind)
        sockets.append(socket)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, 30_000)
        socket.connect(endpoint)
        return socket

    yield connect
    for socket in sockets:
        socket.close()


@pytest.fixture
def ask(connect, shared_daemon):
    """Ask a daemon that other tests use too: send bytes, or what is to be JSON, and return the reply's JSON."""
    socket = connect(shared_daemon.endpoint)

    def ask(request):
        socket.send(request if isinstance(request, bytes) else json.dumps(request).encode())
        return json.loads(socket.recv())

    return ask
