"""Fixtures for hostile peers: a daemon that must be as it was when they are gone."""

import json
import os

import pytest
import zmq

from processes import wait_until

_MOST_GROWTH = 64 << 20
"""Bytes of memory that an allocator may keep of what passed through."""


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


@pytest.fixture
def unharmed():
    """Give a function that takes a daemon; when the test ends, it must be alive, right and of about the same size."""
    watched = []

    def watch(daemon):
        for number in range(50):
            assert b'"ok":true' in daemon.ask(b'{"op":"create","key":"canary%d","value":[%d]}' % (number, number))
        wait_until(lambda: daemon.ask(b'{"op":"ping"}'))
        watched.append((daemon, daemon.resident(), descriptors(daemon), daemon.process.pid))
        return daemon

    yield watch
    for daemon, memory, open_before, pid in watched:
        assert pid == json.loads(daemon.ask(b'{"op":"status"}'))["status"]["pid"]
        for number in range(50):
            assert [number] == json.loads(daemon.ask(b'{"op":"read","key":"canary%d"}' % number))["value"]
        assert b'"ok":true' in daemon.ask(b'{"op":"create","key":"afterwards","value":1}')
        wait_until(lambda daemon=daemon, before=open_before: descriptors(daemon) <= before)
        wait_until(lambda daemon=daemon, before=memory: daemon.resident() < before + _MOST_GROWTH)
        assert [1] == json.loads(daemon.file.read_text())["canary1"]["value"]
        assert 0 == daemon.stop()
        assert "Traceback" not in daemon.log.read_text()


@pytest.fixture
def socket():
    """Make ZeroMQ sockets that close before the daemon is looked at again."""
    sockets = []
    context = zmq.Context()

    def socket(daemon, kind=zmq.REQ, **options):
        made = context.socket(kind)
        sockets.append(made)
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.RCVTIMEO, 60_000)
        made.setsockopt(zmq.SNDTIMEO, 60_000)
        for name, value in options.items():
            made.setsockopt(getattr(zmq, name), value)
        made.connect(daemon.endpoint)
        return made

    yield socket
    for made in sockets:
        made.close()
    context.term()
