"""Peers that break the rules: they are refused or dropped, everybody else is served, and nothing of them stays."""

import contextlib
import json
import socket as sockets

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from processes import wait_until

PING, DONE = b'{"op":"ping"}', b'{"ok":true}'


def raw(daemon):
    """A connection to the daemon's socket that does not speak ZeroMQ."""
    connection = sockets.socket(sockets.AF_UNIX)
    connection.connect(daemon.endpoint.removeprefix("ipc://"))  # waits where too many others have come before
    connection.settimeout(30)
    return connection


def test_an_oversized_message_costs_its_sender_the_connection(start_daemon, unharmed, socket):
    """A message that no valid request can be as large as is not even read; others are served."""
    daemon = unharmed(start_daemon(max_value_bytes="1024", max_batch="10"))
    other = socket(daemon)
    other.send(PING)
    assert DONE == other.recv()
    for size in (1 << 20, 64 << 20):
        large = socket(daemon)
        monitor = large.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        monitor.setsockopt(zmq.RCVTIMEO, 30_000)
        large.send(bytes(size))

        assert zmq.EVENT_DISCONNECTED == recv_monitor_message(monitor)["event"]
        large.disable_monitor()
        monitor.close()
        large.close()
        other.send(PING)
        assert DONE == other.recv()


def test_a_flood_of_connections(start_daemon, unharmed, socket):
    """More connections than descriptors are allowed at first: the daemon allows itself more, and all are served."""
    limited = ("sh", "-c", 'ulimit -S -n 128; exec "$@"', "sh")
    daemon = unharmed(start_daemon(prefix=limited))
    friend = socket(daemon)
    with contextlib.ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(raw(daemon))
        for number in range(20):
            friend.send(b'{"op":"create","key":"flood%d","value":1}' % number)
            assert b'"ok":true' in friend.recv()
        friend.send(b'{"op":"compact"}')
        assert DONE == friend.recv()
        assert DONE == daemon.ask(PING)
    friend.close()


def test_connections_that_come_and_go(daemon, unharmed):
    """Thousands of peers that connect and leave at once."""
    unharmed(daemon)
    for _ in range(3000):
        raw(daemon).close()

    assert DONE == daemon.ask(PING)


GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\x00") + bytes(32)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b'{"op":"ping"}\n',
        b"\xff" * 100_000,
        bytes(100_000),
        GREETING[:10],
        GREETING,
        GREETING + b"\x04\x05WRONG",
        GREETING + b"\x04\xff" + b"x" * 1000,
        GREETING + b"\x06\xff\xff\xff\xff\xff\xff\xff\xff",
        GREETING + b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03REQ" + b"\x02\xff\xff\xff\xff\xff\xff\xff\xff",
        GREETING + b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB" + b"\x00\x01x",
    ],
    ids=lambda said: ascii(said[:12] + said[64:80]),
)
def test_a_peer_that_is_no_zeromq(shared_daemon, said):
    """Raw bytes, half a greeting, impossible lengths, then silence: nobody else notices."""
    connections = [raw(shared_daemon) for _ in range(5)]
    for connection in connections:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it had enough before we were done
            connection.sendall(said)

    assert DONE == shared_daemon.ask(PING)
    for connection in connections:
        connection.close()
    assert DONE == shared_daemon.ask(PING)


def test_peers_that_are_no_zeromq_leave_nothing_behind(daemon, unharmed):
    """Neither do those that leave in the middle of a word."""
    unharmed(daemon)
    for number in range(500):
        with raw(daemon) as connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall((GREETING + b"\x04\xff" + b"x" * 1000)[: number * 3])


def test_a_peer_that_never_reads(daemon, unharmed, socket):
    """Thousands of large replies that nobody takes: no growth without end, and no delay for others."""
    unharmed(daemon)
    daemon.ask(b'{"op":"create","key":"large","value":"%s"}' % (b"x" * 16_000))
    slow = socket(daemon, zmq.DEALER, RCVHWM=1, RCVBUF=4096)
    friend = socket(daemon)
    for number in range(20_000):
        slow.send_multipart([b"", b'{"op":"read","key":"large"}'])
        if number % 1000 == 0:
            friend.send(PING)
            assert DONE == friend.recv()
    slow.close()
    friend.close()


def test_a_peer_that_writes_and_never_reads(daemon, unharmed, socket):
    """Its creates are carried out, and its replies are its own affair."""
    unharmed(daemon)
    before = revision(daemon)
    slow = socket(daemon, zmq.DEALER, RCVHWM=1)
    for number in range(10_000):
        slow.send_multipart([b"", b'{"op":"create","key":"w%d","value":"%s"}' % (number, b"x" * 1000)])

    wait_until(lambda: revision(daemon) == before + 10_000)
    slow.close()


def revision(daemon):
    return json.loads(daemon.ask(b'{"op":"status"}'))["status"]["revision"]


def test_peers_that_leave_without_their_answers(daemon, unharmed, socket):
    """Requests whose senders are gone are carried out or dropped, and nothing is kept for them."""
    unharmed(daemon)
    for number in range(1000):
        gone = socket(daemon)
        gone.send(b'{"op":"create","key":"gone%d","value":1}' % number)
        gone.close()

    assert DONE == daemon.ask(PING)


def test_messages_of_thousands_of_frames(daemon, unharmed, socket):
    """They are refused like those of two."""
    unharmed(daemon)
    many = socket(daemon)
    many.send_multipart([b""] * 100_000)

    assert "RequestError" == json.loads(many.recv())["error"]
    dealer = socket(daemon, zmq.DEALER)
    dealer.send_multipart([b"x"] * 100_000)
    assert "RequestError" == json.loads(dealer.recv_multipart()[-1])["error"]
    many.close()
    dealer.close()


@pytest.mark.parametrize("kind", [zmq.SUB, zmq.XSUB, zmq.PUSH, zmq.PAIR, zmq.REP, zmq.ROUTER], ids=str)
def test_sockets_of_other_kinds(shared_daemon, socket, kind):
    """ZeroMQ itself turns away sockets that do not fit; the daemon serves on."""
    other = socket(shared_daemon, kind)
    with contextlib.suppress(zmq.ZMQError):
        other.send(PING, zmq.NOBLOCK)

    assert DONE == shared_daemon.ask(PING)
