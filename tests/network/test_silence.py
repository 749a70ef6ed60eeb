"""Peers that vanish without a word, as when a machine loses its power, and daemons that do."""

import json
import subprocess
import sys
import threading

import pytest
from tap import Tap

from kvclient.contract import keys
from processes import environment, wait_until

IMPATIENT = """
import sys
from kvd.server.transport import libzmq
libzmq._HEARTBEAT_SECONDS, libzmq._SILENT_SECONDS = 1, 2
sys.argv = ["kvd", *sys.argv[4:]]
from kvd.__main__ import main
main()
"""
WATCH = "import sys; from kvclient import Client; next(iter(Client(sys.argv[1]).watch('key')))"


class Silence(Tap):
    """Passes on what is said, and can fall silent."""

    def __init__(self, address):
        super().__init__(address)
        self._ended = threading.Event()
        self._held = set()
        self.change = self._wait

    def hold(self):
        """Hold what is said from now on by those who are connected; none of them is disconnected."""
        self._held = set(self._threads)

    def _wait(self, _said_by, data):
        if threading.current_thread() in self._held:
            self._ended.wait()
        return data

    def close(self):
        self._ended.set()
        super().close()


@pytest.fixture
def silent():
    made = []

    def silent(address):
        made.append(Silence(address))
        return made[-1]

    yield silent
    for each in made:
        each.close()


def test_a_peer_that_vanishes_watches_no_more(network, home, silent):
    """Heartbeats are not answered, and its watch is not kept."""
    network.stop()
    network.prefix = (sys.executable, "-c", IMPATIENT)
    network.start()
    between = silent(network.address)
    variables = environment(home, KVD_SERVER_KEY=keys.server().public.decode(), KVD_KEY="all")
    process = subprocess.Popen([sys.executable, "-c", WATCH, between.address], env=variables)

    def watchers():
        return json.loads(network.ask(b'{"op":"status"}'))["status"]["watchers"]

    try:
        wait_until(lambda: watchers() == 1)
        between.hold()

        wait_until(lambda: watchers() == 0)
    finally:
        process.kill()
        process.wait()


def test_a_connection_that_falls_silent_is_given_up(network, client, silent):
    """The request goes out by another one, and is carried out once."""
    between = silent(network.address)
    network.address = between.address
    store = client(network)
    assert 1 == store.increment("n")
    between.hold()

    assert 2 == store.increment("n")
    assert 3 == store.increment("n")
