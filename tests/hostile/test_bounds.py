"""Requests that are begun and not ended, or larger than there is memory for: a bounded part of the daemon is theirs."""

import json
import socket

import pytest
from native_listener import Listener

from kvd.server.transport import native
from processes import wait_until

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + b"NULL".ljust(20, b"\x00") + bytes(32)
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03REQ"
MIB = 1 << 20


def frame(size):
    """Return the start of a request whose body has `size` bytes."""
    return b"\x01\x00" + b"\x02" + size.to_bytes(8)


def introduce(connection):
    connection.settimeout(30)
    connection.sendall(GREETING + READY)
    received = b""
    while len(received) < 64 + len(READY):
        received += connection.recv(4096)
    return connection


@pytest.fixture
def served(directory, monkeypatch):
    """What listens with small bounds, and answers with the length of each request."""
    monkeypatch.setattr(native, "_TIDY_SECONDS", 0.02)
    monkeypatch.setattr(native, "_MOST_LARGE_BYTES", 3 * MIB)
    listener = Listener(directory / "s.sock", 2 * MIB)
    with listener.answering(lambda request: b"%d" % len(request)):
        yield listener
    listener.close()


def connect(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return introduce(connection)


def test_who_begins_a_request_and_does_not_go_on_is_disconnected(served, monkeypatch):
    """A request that goes on, however slowly, is not; nor is a peer that asks for nothing."""
    monkeypatch.setattr(native, "_STALLED_SECONDS", 0.5)
    path = served.path
    with connect(path) as stalled, connect(path) as idle, connect(path) as slow:
        stalled.sendall(frame(MIB) + b"x" * 1000)
        slow.sendall(frame(100_000))
        sent = 0
        while True:  # for as long as the other is not given up
            if sent < 99_000:
                sent += slow.send(b"x" * 10)
            stalled.settimeout(0.01)
            try:
                assert b"" == stalled.recv(1)
                break
            except TimeoutError:
                continue
        slow.sendall(b"x" * (100_000 - sent))

        assert b"100000" == slow.recv(100)[-6:]
        idle.sendall(b"\x01\x00\x00\x02hi")
        assert b"2" == idle.recv(100)[-1:]
        wait_until(lambda: len(served.peers) == 2)


def test_large_requests_wait_until_there_is_room_for_them(served):
    """Each is served in the end, whatever becomes of those before it, and small ones never wait."""
    path, transport = served.path, served.transport
    with connect(path) as first, connect(path) as second, connect(path) as third, connect(path) as small:
        for number, peer in enumerate((first, second, third)):
            peer.sendall(frame(2 * MIB - 1) + b"x" * 70_000)
            wait_until(lambda waiting=number: transport._large_bytes and len(transport._held) == waiting)
        small.sendall(b"\x01\x00\x00\x02hi")
        assert b"2" == small.recv(100)[-1:]

        first.sendall(b"x" * (2 * MIB - 1 - 70_000))
        assert b"2097151" == first.recv(100)[-7:]
        second.close()  # in the midst of its turn, or of its wait
        third.sendall(b"x" * (2 * MIB - 1 - 70_000))
        assert b"2097151" == third.recv(100)[-7:]


@pytest.mark.native("libzmq bounds what it receives of each peer, and not of all together")
def test_half_requests_of_many_peers_take_a_bounded_part_of_the_memory(start_daemon):
    """24 peers that announce 16 MiB each and send half of it do not hold half a gigabyte."""
    daemon = start_daemon()
    before = daemon.resident()
    peers = [introduce(daemon.raw()) for _ in range(24)]
    for peer in peers:
        peer.settimeout(0.1)
        peer.sendall(frame(16 * MIB - 100))
        try:
            peer.sendall(b"x" * (8 * MIB))
        except TimeoutError:
            continue  # this one is not received from

    assert b'{"ok":true}' == daemon.ask(b'{"op":"ping"}')
    assert daemon.resident() - before < 128 * MIB
    for peer in peers:
        peer.close()
    wait_until(lambda: daemon.resident() - before < 32 * MIB)
    assert 0 == json.loads(daemon.ask(b'{"op":"stats"}'))["stats"]["keys"]


@pytest.mark.parametrize("megabytes", [200, 230, 260])
def test_a_request_for_which_there_is_no_memory_is_refused(start_daemon, megabytes):
    """Wherever the limit on its memory is met, the daemon serves on, and takes what fits."""
    daemon = start_daemon(prefix=("prlimit", f"--as={megabytes}000000"))
    value = b'"' + b"x" * MIB + b'"'
    large = b",".join(b'"k%d":%s' % (number, value[:-10] + b'"') for number in range(15))
    for _ in range(3):
        with introduce(daemon.raw()) as peer:
            request = b'{"op":"batch_create","items":{%s}}' % large
            try:
                peer.sendall(frame(len(request)) + request)
                peer.recv(10_000)  # a refusal, a hang-up, or done
            except OSError:
                continue

    assert b'{"ok":true' in daemon.ask(b'{"op":"put","key":"small","value":1}')
    assert "Traceback" not in daemon.log.read_text()
    assert 0 == daemon.stop()
