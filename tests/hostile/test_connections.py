"""Connections that say nothing, and more of them than there are descriptors."""

import contextlib
import os
import socket
import time
from pathlib import Path

import pytest
import zmq
from native_listener import Listener

from kvd.server.transport import native
from processes import wait_until


@pytest.fixture
def listener(directory):
    """What listens, for peers whose requests have up to 1,000 bytes."""
    listener = Listener(directory / "s.sock", 1000)
    yield listener
    listener.close()


@pytest.fixture
def served(directory, monkeypatch):
    """A path where connections are given up after a moment if they do not say what they are."""
    monkeypatch.setattr(native, "_HANDSHAKE_SECONDS", 0.2)
    monkeypatch.setattr(native, "_TIDY_SECONDS", 0.05)
    listener = Listener(directory / "s.sock", 1000)
    with listener.answering(lambda request: request):
        yield listener.path
    listener.close()


def test_who_says_nothing_is_disconnected(served):
    """And who has introduced himself is not, however long he is silent after that."""
    with (
        zmq.Context() as context,
        context.socket(zmq.REQ) as polite,
        socket.socket(socket.AF_UNIX) as silent,
    ):
        polite.connect(f"ipc://{served}")
        polite.send(b"1")
        assert polite.recv() == b"1"
        monitor = polite.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        silent.settimeout(30)
        silent.connect(str(served))
        assert len(silent.recv(1000)) >= 64

        assert silent.recv(1000) == b""
        assert not monitor.poll(300)
        polite.disable_monitor()
        monitor.close()
        polite.send(b"2")
        assert polite.recv() == b"2"


def test_a_peer_that_is_ahead_does_not_keep_the_loop_busy(listener):
    """What it sends before its reply has left is not looked at, and served after that."""
    served, rounds = [], 0
    with zmq.Context() as context, context.socket(zmq.DEALER) as ahead:
        ahead.setsockopt(zmq.LINGER, 0)
        ahead.connect(f"ipc://{listener.path}")
        for number in range(3):
            ahead.send_multipart([b"", b"%d" % number])
        while not served:
            served += [(peer, request) for peer in listener.poll(0.1) if (request := peer.receive()) is not None]
        ahead.send_multipart([b"", b"3"])
        ends = time.monotonic() + 0.5
        while time.monotonic() < ends:
            rounds += 1
            assert [] == listener.poll(0.1)
        assert rounds < 20
        while len(served) < 4:
            peer, request = served[-1]
            peer.reply(request)
            served += [(peer, more) for peer in listener.poll(0.1) if (more := peer.receive()) is not None]
    assert [b"0", b"1", b"2", b"3"] == [request for _, request in served]


@pytest.mark.native("libzmq aborts when it cannot accept on a Unix socket")
def test_more_connections_than_descriptors(start_daemon, unharmed, socket):
    """Those that are there are served, the others wait until some of them leave, and the daemon lives."""
    daemon = unharmed(start_daemon(prefix=("sh", "-c", 'ulimit -n 40; exec "$@"', "sh")))
    friend = socket(daemon)
    friend.send(b'{"op":"ping"}')
    friend.recv()
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(daemon.raw())
        wait_until(lambda: "no more connections" in daemon.log.read_text())
        friend.send(b'{"op":"create","key":"key1","value":1}')
        assert b'"ok":true' in friend.recv()
        late = socket(daemon)
        late.send(b'{"op":"read","key":"key1"}')
        assert not late.poll(1000)
        assert daemon.log.read_text().count("no more connections") < 20, "it tries without a pause"

    assert b'"value":1' in late.recv()
    late.close()
    friend.close()


def test_heartbeats(daemon, socket):
    """A peer that asks now and then whether the daemon is there stays connected."""
    asking = socket(daemon, HEARTBEAT_IVL=50, HEARTBEAT_TIMEOUT=200)
    asking.send(b'{"op":"ping"}')
    asking.recv()
    monitor = asking.get_monitor_socket(zmq.EVENT_DISCONNECTED)

    assert not monitor.poll(1000)
    asking.disable_monitor()
    monitor.close()
    asking.send(b'{"op":"ping"}')
    assert asking.recv() == b'{"ok":true}'


@pytest.mark.native("libzmq gives all peers' requests through one socket, so none can be held back")
def test_a_daemon_with_nothing_to_do_sleeps(daemon, unharmed, socket):
    """Peers that are silent, have said half of something or take no replies do not keep it busy."""
    unharmed(daemon)
    half = socket(daemon, zmq.DEALER)
    half.send_multipart([b"", b'{"op":"ping"}'])
    half.recv_multipart()
    with daemon.raw(), daemon.raw() as begun:
        begun.sendall(b"\xff" + bytes(5))
        daemon.ask(b'{"op":"create","key":"large","value":"%s"}' % (b"x" * 16_000))
        held = socket(daemon, zmq.DEALER, RCVHWM=1)
        while held.poll(500, zmq.POLLOUT):
            held.send_multipart([b"", b'{"op":"read","key":"large"}'])
        before = processor_seconds(daemon)

        assert not held.poll(2000, zmq.POLLOUT)
        assert processor_seconds(daemon) - before < 0.5
        held.close()
    half.close()


def test_heartbeats_while_a_request_is_under_way(daemon, socket):
    """They are answered while a watch is parked, so that the peer does not give it up."""
    asking = socket(daemon, HEARTBEAT_IVL=50, HEARTBEAT_TIMEOUT=200)
    monitor = asking.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    asking.send(b'{"op":"watch","wait":30}')

    assert not monitor.poll(1000)
    asking.disable_monitor()
    monitor.close()
    daemon.ask(b'{"op":"create","key":"key1","value":1}')
    assert b'"key":"key1"' in asking.recv()


@pytest.mark.native("libzmq hangs up without a word")
def test_a_peer_of_the_wrong_kind_is_told_why(daemon):
    """By an ERROR command, which libzmq's monitors and our clients show."""
    with daemon.raw() as connection:
        connection.sendall(
            b"\xff"
            + bytes(8)
            + b"\x7f\x03\x01NULL"
            + bytes(48)
            + b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB"
        )
        said = b""
        while more := connection.recv(4096):
            said += more

    assert b"\x05ERROR" in said
    assert said.endswith(b"is a socket of a kind that does not fit, b'PUB'")


def processor_seconds(daemon):
    """The processor time that the daemon has used."""
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
