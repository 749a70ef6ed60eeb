"""Peers that break the rules: they are refused or dropped, everybody else is served, and nothing of them stays."""

import contextlib
import json

import pytest
import zmq

PING, DONE = b'{"op":"ping"}', b'{"ok":true}'


def test_an_oversized_message_is_refused(start_daemon, unharmed, socket):
    """It is received and thrown away; its sender is told so, and goes on with the same connection."""
    daemon = unharmed(start_daemon(max_value_bytes="1024", max_request_bytes="100000"))
    sender = socket(daemon)
    for size in (100_001, 64 << 20):
        sender.send(bytes(size))
        reply = json.loads(sender.recv())

        assert "RequestError" == reply["error"]
        assert f"has {size} bytes; the limit is 100000" in reply["message"]
        sender.send(PING)
        assert DONE == sender.recv()


def test_a_flood_of_connections(start_daemon, unharmed, socket):
    """More connections than descriptors are allowed at first: the daemon allows itself more, and all are served."""
    limited = ("sh", "-c", 'ulimit -S -n 128; exec "$@"', "sh")
    daemon = unharmed(start_daemon(prefix=limited))
    friend = socket(daemon)
    with contextlib.ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(daemon.raw())
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
        daemon.raw().close()

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
    connections = [shared_daemon.raw() for _ in range(5)]
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
        with daemon.raw() as connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall((GREETING + b"\x04\xff" + b"x" * 1000)[: number * 3])


INTRODUCTION = GREETING + b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"


@pytest.mark.native("libzmq closes a connection at once")
def test_nonsense_behind_a_request(daemon, unharmed):
    """More of it than is received at a time: the request is answered, and the connection ends."""
    unharmed(daemon)
    with daemon.raw() as connection:
        connection.sendall(INTRODUCTION + b"\x01\x00\x00\x0d" + PING + b"\xff" * 20_000)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while more := connection.recv(4096):
                said += more

    assert said.endswith(DONE)


def test_an_oversized_message_behind_requests(start_daemon, unharmed, socket):
    """A DEALER that is ahead of its replies and then sends too much has each answered in its turn."""
    daemon = unharmed(start_daemon(max_value_bytes="1024", max_request_bytes="100000"))
    ahead = socket(daemon, zmq.DEALER)
    for message in [PING] * 3 + [bytes(600_000), PING]:
        ahead.send_multipart([b"", message])
    replies = [json.loads(ahead.recv_multipart()[1]) for _ in range(5)]

    assert [True, True, True, False, True] == [reply["ok"] for reply in replies]
    assert "RequestError" == replies[3]["error"]


def send_until_held(sender, request):
    """Send requests and take no reply, until no more can be sent; return how many were."""
    sent = 0
    while sender.poll(500, zmq.POLLOUT):
        sender.send_multipart([b"", request(sent)])
        sent += 1
    return sent


@pytest.mark.native("libzmq gives all peers' requests through one socket, so none can be held back")
def test_a_peer_that_never_reads(daemon, unharmed, socket):
    """Thousands of large replies that nobody takes: no growth, no delay for others, and all of them once it reads."""
    unharmed(daemon)
    daemon.ask(b'{"op":"create","key":"large","value":"%s"}' % (b"x" * 16_000))
    slow = socket(daemon, zmq.DEALER, RCVHWM=1, RCVBUF=4096)
    friend = socket(daemon)
    before = daemon.resident()

    sent = send_until_held(slow, lambda _: b'{"op":"read","key":"large"}')

    assert daemon.resident() < before + (8 << 20)
    friend.send(PING)
    assert DONE == friend.recv()
    replies = [slow.recv_multipart() for _ in range(sent)]
    assert 1000 <= len(replies)
    assert all(b'{"ok":true,"value":"xxx' == reply[:23] for _, reply in replies)


@pytest.mark.native("libzmq gives all peers' requests through one socket, so none can be held back")
def test_a_peer_that_writes_and_never_reads(daemon, unharmed, socket):
    """It is held once it has not taken too many replies, and served on when it takes them; others notice nothing."""
    unharmed(daemon)
    before = revision(daemon)
    slow = socket(daemon, zmq.DEALER, RCVHWM=1)
    before_memory = daemon.resident()

    sent = send_until_held(slow, lambda number: b'{"op":"create","key":"w%d","value":"%s"}' % (number, b"x" * 1000))

    assert daemon.resident() < before_memory + (8 << 20)
    assert DONE == daemon.ask(PING)
    assert [b"", b'{"ok":true,"revision":%d}' % (before + 1)] == slow.recv_multipart()
    for _ in range(sent - 1):
        slow.recv_multipart()
    assert revision(daemon) == before + sent


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
