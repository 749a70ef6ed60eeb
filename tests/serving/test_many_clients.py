"""The daemon keeps nothing of clients that have gone: no descriptor and no memory."""

import resource

import pytest
import zmq
from footprint import Footprint

from kvclient import Client
from processes import Daemon, wait_until

# Twice the clients whose latest requests the daemon remembers, so that this memory is in use before it is measured.
_ENOUGH_TO_FILL = 2500
_MOST_GROWTH = 2 << 20
_CREATE = b'{"op":"create","key":"key1","value":1}'
_READ, _ANSWER = b'{"op":"read","key":"key1"}', b'{"ok":true,"value":1,"revision":1}'


@pytest.fixture(autouse=True)
def _descriptors():
    """Let this process have a socket for each of many clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def come_and_go(endpoint: str, clients: int) -> None:
    """One after the other: connect, create, read, delete, leave."""
    for _ in range(clients):
        with Client(endpoint) as store:
            store.create("passing", 1)
            assert store.read("passing") == 1
            store.delete("passing")


def come_at_once(daemon: Daemon, clients: int) -> list[bytes]:
    """Connect all, have all ask at once, and return what they are told; then all leave."""
    with zmq.Context() as context:
        context.set(zmq.MAX_SOCKETS, clients + 10)
        sockets = [context.socket(zmq.REQ) for _ in range(clients)]
        for socket in sockets:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVTIMEO, 60_000)
            socket.connect(daemon.endpoint)
        for socket in sockets:
            socket.send(_READ)
        replies = [socket.recv() for socket in sockets]
        for socket in sockets:
            socket.close()
    return replies


def come_and_vanish(daemon: Daemon, clients: int) -> None:
    """One after the other: connect, ask, leave without waiting for the answer.

    Another one looks on and is served meanwhile, so that the daemon is not as many behind as there is time for.
    """
    with zmq.Context() as context, context.socket(zmq.REQ) as onlooker:
        onlooker.connect(daemon.endpoint)
        for number in range(clients):
            with context.socket(zmq.DEALER) as socket:
                socket.setsockopt(zmq.LINGER, 100)
                socket.connect(daemon.endpoint)
                # Refused because the key exists, and remembered all the same.
                socket.send_multipart([b"", b'{"op":"create","key":"key1","value":2,"id":"gone%d:1"}' % number])
            onlooker.send(_READ)
            assert onlooker.recv() == _ANSWER


@pytest.mark.timeout(600)
def test_clients_one_after_the_other_leave_nothing(start_daemon, memory, long):
    """After thousands of clients that came and went, the daemon is as large as before."""
    daemon = start_daemon(at=memory)
    footprint = Footprint(daemon)
    before = footprint.descriptors(), footprint.threads()
    come_and_go(daemon.endpoint, _ENOUGH_TO_FILL)
    memory = footprint.memory()

    come_and_go(daemon.endpoint, 10_000 if long else 500)

    footprint.wait_until_back_at(before)
    assert memory + _MOST_GROWTH > footprint.memory()


@pytest.mark.timeout(600)
def test_many_clients_at_once_are_all_answered_and_leave_nothing(start_daemon):
    """500 clients at once all get the answer, and soon after they have left the daemon is as large as before."""
    daemon = start_daemon()
    daemon.ask(_CREATE)
    footprint = Footprint(daemon)
    before = footprint.descriptors(), footprint.threads()
    memory = footprint.memory()

    for _ in range(3):
        replies = come_at_once(daemon, 500)

        assert [_ANSWER] * 500 == replies
        footprint.wait_until_back_at(before)
        wait_until(lambda: memory + _MOST_GROWTH > footprint.memory())


@pytest.mark.timeout(600)
def test_clients_that_vanish_leave_nothing(start_daemon, long):
    """Clients that ask and leave before the answer cost no descriptor and no memory either, and nobody waits for
    them.
    """
    daemon = start_daemon()
    daemon.ask(_CREATE)
    footprint = Footprint(daemon)
    before = footprint.descriptors(), footprint.threads()
    come_and_vanish(daemon, _ENOUGH_TO_FILL)
    footprint.wait_until_back_at(before)
    memory = footprint.memory()

    come_and_vanish(daemon, 10_000 if long else 500)

    footprint.wait_until_back_at(before)
    assert memory + _MOST_GROWTH > footprint.memory()
    assert _ANSWER == daemon.ask(_READ)
