"""ZeroMQ's protocol, byte by byte: what comes in pieces, what peers may say besides messages, what is not taken."""

import pytest

from kvclient.contract.errors import RequestError
from kvclient.contract.zmtp import Conversation, MessageTooLargeError, ProtocolError

SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
GREETING = SIGNATURE + b"\x03\x01" + b"NULL".ljust(20, b"\x00") + bytes(32)
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03REQ"
READY_WITH_IDENTITY = b"\x04\x26\x05READY\x08Identity\x00\x00\x00\x00\x0bSocket-Type\x00\x00\x00\x03REQ"
LONG = b"\x02" + (300).to_bytes(8) + b"y" * 300


def told(conversation, pieces):
    """What a REP socket takes from a peer that sends `pieces`, each request answered with its own length."""
    requests, answers = [], b""
    for piece in pieces:
        data = piece
        while True:
            try:
                request = conversation.receive(data)
            except RequestError as error:
                request = str(error)
            if request is None:
                break
            requests.append(request)
            answers += conversation.message(b"%d" % len(request))
            if conversation.wanted:
                break
            data = b""
    return requests, answers


def cut(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 63, 64, 65, 1000])
def test_it_is_the_same_in_whatever_pieces_it_comes(size):
    """Greeting, handshake, short and long requests, several at once, an envelope, several frames."""
    said = (
        GREETING
        + READY
        + b"\x01\x00\x00\x03abc"
        + b"\x01\x00" + LONG
        + b"\x01\x02id\x01\x00\x00\x01d"
        + b"\x01\x00\x01\x01e\x00\x01f"
        + b"\x01\x00\x00\x00"
        + b"\x00\x01g"
    )  # fmt: skip

    requests, answers = told(Conversation(b"REP", 1000), cut(said, size))

    assert [b"abc", b"y" * 300, b"d"] == requests[:3]
    assert "had 3 frames" in requests[3]
    assert requests[4] == b""
    assert "had 1 frame." in requests[5]
    empty, refused = b"\x01\x00", b"\x00\x02%d" % len(requests[3])
    assert answers == (
        empty + b"\x00\x013" + empty + b"\x00\x03300" + b"\x01\x02id\x01\x00\x00\x011"
        + empty + refused + empty + b"\x00\x010" + b"\x00\x02%d" % len(requests[5])
    )  # fmt: skip


def test_what_is_said_first():
    """A greeting and a handshake of the version and with the socket type that the protocol's text shows."""
    assert GREETING + READY.replace(b"REQ", b"REP") == Conversation(b"REP", 1000).outgoing


@pytest.mark.parametrize("ready", [READY, READY_WITH_IDENTITY, READY.replace(b"\x04\x19", b"\x06" + (25).to_bytes(8))])
def test_handshakes(ready):
    """With other properties and long lengths; only then is the connection established."""
    conversation = Conversation(b"REP", 1000)
    conversation.receive(GREETING)
    assert not conversation.established

    conversation.receive(ready)

    assert conversation.established


def test_a_ping_is_answered():
    """With its context, between messages and in the middle of one."""
    conversation = Conversation(b"REP", 1000)
    conversation.receive(GREETING + READY)
    conversation.outgoing = b""

    assert conversation.receive(b"\x04\x0a\x04PING\x00\x10abc") is None
    assert conversation.outgoing == b"\x04\x08\x04PONGabc"
    assert conversation.under_way == 0
    conversation.outgoing = b""
    assert conversation.receive(b"\x01\x00\x04\x07\x04PING\x00\x10\x00\x01x") == b"x"
    assert conversation.outgoing == b"\x04\x05\x04PONG"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"GET / HTTP/1.1\r\n", "is no ZeroMQ socket"),
        (SIGNATURE + b"\x01", "version 1"),
        (GREETING.replace(b"NULL", b"PLAI"), "security mechanism"),
        (GREETING + b"\x00\x01x", "sent a message of 1 bytes"),
        (GREETING + b"\x04\x05WRONG", "does not introduce itself"),
        (GREETING + READY.replace(b"REQ", b"PUB"), "kind that does not fit"),
        (GREETING + b"\x06" + b"\xff" * 8, "sent a command of 18446744073709551615 bytes"),
        (GREETING + READY + b"\x08\x00", "no frame"),
        (GREETING + READY + b"\x01\x00\x02" + ((1 << 30) + 1).to_bytes(8), "1000 are the most"),
    ],
    ids=lambda value: ascii(value[-20:]),
)
def test_what_is_not_the_protocol(said, why):
    """It ends the connection as soon as it shows."""
    with pytest.raises(ProtocolError, match=why):
        Conversation(b"REP", 1000).receive(said)


@pytest.mark.parametrize("size", [1, 64, 1000, 1 << 20])
@pytest.mark.parametrize(
    ("frames", "told_size"),
    [
        (b"\x01\x00\x02" + (1001).to_bytes(8) + b"z" * 1001, 1001),
        (b"\x01\x00\x02" + (100_000).to_bytes(8) + b"z" * 100_000, 100_000),
        (b"\x01\x00" + LONG.replace(b"\x02", b"\x03") * 3 + LONG, 300),
    ],
    ids=["by one byte", "by far", "in frames"],
)
def test_a_message_that_is_too_large_is_passed_over(size, frames, told_size):
    """It is received to its end without being kept, and told of with its size; what comes behind it is taken."""
    conversation = Conversation(b"REP", 1000)
    conversation.receive(GREETING + READY)
    errors, taken = [], []
    for piece in cut(frames + b"\x01\x00\x00\x03abc", size):
        data = piece
        while True:
            try:
                message = conversation.receive(data)
            except MessageTooLargeError as error:
                errors.append(error)
            else:
                if message is None:
                    break
                taken.append(message)
            if conversation.wanted:
                break
            data = b""
        assert len(conversation._incoming) <= max(size, 1 << 20)

    assert [told_size] == [error.size for error in errors]
    assert (b"z" if b"z" in frames else b"y") * 64 == errors[0].head
    assert [b"abc"] == taken
