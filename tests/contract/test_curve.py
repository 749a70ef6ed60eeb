"""A client's side of CURVE, against libzmq and against somebody who changes what is sent."""

import pytest
import zmq

from kvclient.contract.curve import Curve
from kvclient.contract.keys import Pair
from kvclient.contract.zmtp import Conversation, ProtocolError


@pytest.fixture
def line():
    """A conversation with libzmq's REP socket, and what carries bytes between them."""
    public, secret = zmq.curve_keypair()
    with zmq.Context() as context, context.socket(zmq.REP) as answering:
        answering.curve_server = True
        answering.curve_publickey, answering.curve_secretkey = public, secret
        port = answering.bind_to_random_port("tcp://127.0.0.1")
        made = Line(port, answering, Curve(public, Pair(*zmq.curve_keypair())))
        yield made
        made.socket.close()


class Line:
    def __init__(self, port, answering, curve):
        import socket

        self.answering, self.curve = answering, curve
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.conversation = Conversation(b"REQ", 1 << 20, curve)

    def shake_hands(self):
        while not self.conversation.established:
            self.step()

    def step(self, change=lambda data: data):
        self.socket.sendall(self.conversation.outgoing)
        self.conversation.outgoing = b""
        return self.conversation.receive(change(self.socket.recv(1 << 20)))

    def ask(self, body, change=lambda data: data):
        self.socket.sendall(self.conversation.message(body))
        assert body == self.answering.recv()
        self.answering.send(body)
        while (reply := self.step(change)) is None:
            pass
        return reply


@pytest.mark.parametrize("size", [0, 1, 31, 32, 214, 215, 222, 223, 230, 255, 256, 65_535, 500_000])
def test_messages_of_every_size(line, size):
    """They come back as they were sent, by the short way and by the long one."""
    line.shake_hands()

    for _ in range(3):
        assert b"x" * size == line.ask(b"x" * size)


def test_byte_by_byte(line):
    """However what libzmq sends is cut into pieces."""
    line.shake_hands()
    line.socket.sendall(line.conversation.message(b"hello"))
    line.answering.send(line.answering.recv())
    reply = None
    while reply is None:
        reply = line.conversation.receive(line.socket.recv(1))

    assert b"hello" == reply


def flipped(at):
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("at", [15, 30, -1, 50, 60])
def test_a_changed_reply(line, at):
    """Of its numbers, its proofs and its text, nothing can be changed."""
    line.shake_hands()

    with pytest.raises(ProtocolError):
        line.ask(b"some text", flipped(at))


def test_a_reply_twice(line):
    """What was received before is not taken again."""
    line.shake_hands()
    kept = []

    line.ask(b"hello", lambda data: kept.append(data) or data)

    with pytest.raises(ProtocolError, match="sent the same twice"):
        line.conversation.receive(kept[0])


@pytest.mark.parametrize("part", range(2, 170, 7))
def test_a_changed_welcome(line, part):
    """The daemon has to prove its key."""
    line.socket.sendall(line.conversation.outgoing)
    line.conversation.outgoing = b""
    data = b""
    while len(data) < 64 + 2 + 168:
        data += line.socket.recv(4096)

    with pytest.raises(ProtocolError):
        line.conversation.receive(flipped(64 + part)(data))


def test_what_is_not_encrypted(line):
    """Is not taken after the handshake."""
    line.shake_hands()

    with pytest.raises(ProtocolError, match="not encrypted"):
        line.conversation.receive(b"\x01\x00\x00\x05hello")


def test_heartbeats(line):
    """They are answered, encrypted too."""
    line.answering.heartbeat_ivl = 20
    line.answering.heartbeat_timeout = 500
    line.shake_hands()
    for _ in range(60):
        line.socket.settimeout(0.02)
        try:
            line.step()
        except TimeoutError:
            continue
    line.socket.settimeout(10)

    assert b"hello" == line.ask(b"hello")
