"""Strangers who come and go by the thousand, with nothing to say."""

import socket
import subprocess
import sys

MANY = 2500
"""Connections that make more events than libzmq keeps of those that nobody was told of."""
UNTOLD = """
import contextlib, socket, sys
from kvd.server.peers import Peers
from kvd.server.poller import Poller
from kvd.server.transport.libzmq import Libzmq
from kvd.worker import Wakeup

listener = socket.create_server(("127.0.0.1", 0), backlog=100)
address = listener.getsockname()
listener.setblocking(False)
transport = Libzmq(listener, Poller(Wakeup()), Peers(), most_bytes=1000)
with contextlib.suppress(TimeoutError):  # when libzmq accepts no more
    for _ in range(int(sys.argv[1])):
        with socket.create_connection(address, 2) as connection:
            connection.settimeout(2)
            connection.recv(64)
    sys.exit("libzmq keeps more than that")
print("closing", flush=True)
transport.close()
print("closed", flush=True)
"""


def test_a_daemon_with_nothing_else_to_do_goes_on(network, client):
    """It serves the next one, and ends when it is told to."""
    host, port = network.address.removeprefix("tcp://").split(":")
    for _ in range(MANY):
        with socket.create_connection((host, int(port)), 30) as connection:
            assert connection.recv(64)

    assert 1 == client(network).create("key1", 1)
    assert 0 == network.stop()


def test_a_transport_that_was_not_told_of_them_ends():
    """As while a daemon finishes what it has begun, and heeds nobody."""
    process = subprocess.Popen([sys.executable, "-c", UNTOLD, str(MANY)], stdout=subprocess.PIPE, text=True)
    try:
        told, _ = process.communicate(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()
        told, _ = process.communicate()

    assert ["closing", "closed"] == told.split()
