"""The same id again is the same request again and gets the same answer, whatever happened in between."""

import json

import pytest
import zmq

from processes import wait_until

CREATE = {"op": "create", "key": "key1", "value": 1, "id": "client:1"}
DELETE = {"op": "delete", "key": "key1", "id": "client:2"}
BATCH = {"op": "batch_create", "items": {"key2": 2, "key3": 3}, "id": "client:3"}


@pytest.fixture
def repeat(connect, daemon):
    """Send a request as a client does that lost the answer: on a new socket."""

    def repeat(request):
        socket = connect(daemon.endpoint)
        socket.send(json.dumps(request).encode())
        return json.loads(socket.recv())

    return repeat


def restart(daemon):
    daemon.stop()
    daemon.start()


def kill(daemon):
    daemon.kill()
    daemon.start()


def compact(daemon):
    daemon.ask(b'{"op":"compact"}')
    wait_until(lambda: b'"compacting":false' in daemon.ask(b'{"op":"status"}'))


def compact_and_kill(daemon):
    compact(daemon)
    kill(daemon)


def nothing(daemon):
    assert daemon.answers()


@pytest.mark.parametrize("event", [nothing, restart, kill, compact, compact_and_kill], ids=lambda event: event.__name__)
def test_a_success_is_answered_again(daemon, repeat, event):
    """Create, delete and batch succeed once, and each repetition is told the revision of that one time."""
    for number, request in enumerate([CREATE, DELETE, BATCH], start=1):
        first = repeat(request)
        event(daemon)
        again = [repeat(request) for _ in range(3)]

        assert {"ok": True, "revision": number} == first
        assert [first] * 3 == again
    assert 3 == repeat({"op": "status"})["status"]["revision"]


def test_a_refusal_is_answered_again(repeat):
    """A refused create stays refused under its id, also when the key is free by then."""
    repeat({"op": "create", "key": "key1", "value": 0})
    first = repeat(CREATE)
    repeat({"op": "delete", "key": "key1"})

    assert "KeyExistsError" == first["error"]
    assert first == repeat(CREATE)
    assert repeat({**CREATE, "id": "client:2"})["ok"]


def test_many_at_once_with_one_id_are_one(connect, daemon):
    """Repetitions that arrive while the first is being written are answered with its outcome."""
    sockets = [connect(daemon.endpoint) for _ in range(20)]
    for socket in sockets:
        socket.send(json.dumps(CREATE).encode())

    assert {b'{"ok":true,"revision":1}'} == {socket.recv() for socket in sockets}


@pytest.mark.parametrize("event", [nothing, kill, compact_and_kill], ids=lambda event: event.__name__)
def test_an_older_number_is_refused(daemon, repeat, event):
    """What was answered before the latest request is neither carried out again nor answered."""
    first = repeat({**CREATE, "id": "client:7"})
    event(daemon)

    reply = repeat({"op": "create", "key": "key2", "value": 2, "id": "client:6"})

    assert "RequestError" == reply["error"]
    assert "client:6" in reply["message"]
    assert "KeyNotFoundError" == repeat({"op": "read", "key": "key2"})["error"]
    assert first == repeat({**CREATE, "id": "client:7"})


@pytest.mark.parametrize("event", [kill, compact_and_kill], ids=lambda event: event.__name__)
def test_a_success_before_a_refusal_is_not_carried_out_again(daemon, repeat, event):
    """A client's latest request was refused, and nobody remembers that after a crash; its success before is known."""
    repeat({"op": "create", "key": "taken", "value": 1})
    first = repeat({**CREATE, "id": "client:7"})
    assert "KeyExistsError" == repeat({"op": "create", "key": "taken", "value": 2, "id": "client:8"})["error"]
    assert repeat({"op": "delete", "key": "key1"})["ok"]
    event(daemon)

    assert "RequestError" == repeat({"op": "create", "key": "key2", "value": 2, "id": "client:6"})["error"]
    assert first == repeat({**CREATE, "id": "client:7"})
    assert "KeyNotFoundError" == repeat({"op": "read", "key": "key1"})["error"]


def test_an_older_number_is_refused_right_behind_the_newer(connect, daemon):
    """Also when both arrive together, as after a pause of the daemon, and with the latest repeated at once."""
    requests = [
        {"op": "create", "key": "key5", "value": 5, "id": "client:5"},
        {"op": "create", "key": "key4", "value": 4, "id": "client:4"},
        {"op": "create", "key": "key5", "value": 5, "id": "client:5"},
        {"op": "create", "key": "key5", "value": 6, "id": "client:6"},
        {"op": "delete", "key": "key5", "id": "client:7"},
        {"op": "create", "key": "key5", "value": 6, "id": "client:6"},
        {"op": "delete", "key": "key5", "id": "client:7"},
    ]
    socket = connect(daemon.endpoint, zmq.DEALER)
    for request in requests:
        socket.send_multipart([b"", json.dumps(request).encode()])
    replies = [json.loads(socket.recv_multipart()[-1]) for _ in requests]

    assert [1, "RequestError", 1, "KeyExistsError", 2, "RequestError", 2] == [
        reply.get("revision", reply.get("error")) for reply in replies
    ]


def test_a_refusal_is_remembered_right_behind_a_success(connect, repeat, daemon):
    """Of a client's requests that arrive together, the last is the one that is remembered."""
    socket = connect(daemon.endpoint, zmq.DEALER)
    for number in (1, 2):
        request = {"op": "create", "key": "key1", "value": number, "id": f"client:{number}"}
        socket.send_multipart([b"", json.dumps(request).encode()])
    replies = [json.loads(socket.recv_multipart()[-1]) for _ in range(2)]
    repeat({"op": "delete", "key": "key1"})

    assert "KeyExistsError" == replies[1]["error"]
    assert replies[1] == repeat({"op": "create", "key": "key1", "value": 2, "id": "client:2"})


def test_clients_do_not_hear_each_others_answers(repeat):
    """The same number of another client is another request, and names may hold colons and any text."""
    repeat(CREATE)
    for client in ("other", "client:1", "😀", "x" * 64, 'a\\"b'):
        assert "KeyExistsError" == repeat({**CREATE, "id": f"{client}:1"})["error"]


def test_numbers_may_leap_up_to_18_digits(repeat):
    """Any higher number is a new request."""
    for number, leap in enumerate([0, 5, 999, 10**18 - 1]):
        assert repeat({"op": "create", "key": f"leap{number}", "value": 1, "id": f"client:{leap}"})["ok"]


def test_reads_take_an_id_and_are_read_anew(repeat):
    """Only changes are remembered: a read with the same id tells what is there now."""
    read = {"op": "read", "key": "key1", "id": "client:9"}

    assert "KeyNotFoundError" == repeat(read)["error"]
    repeat({"op": "create", "key": "key1", "value": 1})
    assert 1 == repeat(read)["value"]


def test_requests_without_id_are_each_their_own(repeat):
    """Without an id the second create is refused."""
    request = {"op": "create", "key": "key1", "value": 1}

    assert repeat(request)["ok"]
    assert "KeyExistsError" == repeat(request)["error"]


def test_pipelined_requests_of_one_client_are_decided_in_their_order(connect, daemon):
    """A DEALER that sends creates and deletes of one key in turn sees each of them succeed."""
    socket = connect(daemon.endpoint, zmq.DEALER)
    for number in range(100):
        operation = {"op": "delete", "key": "key1"} if number % 2 else {"op": "create", "key": "key1", "value": number}
        socket.send_multipart([b"", json.dumps({**operation, "id": f"client:{number}"}).encode()])

    assert [{"ok": True, "revision": number} for number in range(1, 101)] == [
        json.loads(socket.recv_multipart()[-1]) for _ in range(100)
    ]
