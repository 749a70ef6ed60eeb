"""What happens between a client and a daemon: eavesdroppers, changed bytes, lost connections, restarts."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from tap import Tap

from kvclient import Client
from kvclient.contract import keys
from processes import environment, wait_until


@pytest.fixture
def tap(network):
    between = Tap(network.address)
    yield between
    between.close()


def test_nobody_between_learns_anything(network, tap, client):
    """Neither keys, values and ids nor the secrets are in what passes, and there is something in it."""
    network.address = tap.address
    store = client(network)
    store.create("a-key-of-mine", {"value": "which nobody knows"})
    assert {"value": "which nobody knows"} == store.read("a-key-of-mine")

    for heard in tap.heard.values():
        assert len(heard) > 500
        for said in (b"a-key-of-mine", b"which nobody", b"create", b'"op"', b'"id"', b'"ok"', b"Socket-Type"):
            assert said not in heard
        for name in ("all", "server"):
            assert keys.own(name).public not in heard


@pytest.mark.parametrize("who", ["client", "daemon"])
def test_a_changed_byte_ends_the_connection(network, tap, client, who):
    """What was changed on its way is not taken; the request is repeated, and carried out once."""
    network.address = tap.address
    store = client(network)
    assert 1 == store.increment("n")
    changed = []

    def change_once(said_by, data):
        if said_by == who and not changed:
            changed.append(data)
            return data[:-1] + bytes([data[-1] ^ 1])
        return data

    tap.change = change_once
    assert 2 == store.increment("n")
    assert 3 == store.increment("n")
    assert tap.connections == 4  # each after a look whether somebody listens
    assert changed


def test_connections_that_are_cut_at_any_time(network, tap, client):
    """Each increment counts once."""
    network.address = tap.address
    store = client(network)
    store.put("n", 0)
    ending = threading.Event()

    def cut():
        while not ending.wait(0.02):
            tap.cut()

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        for _ in range(100):
            store.increment("n")
    finally:
        ending.set()
        thread.join()

    assert 100 == store.read("n")
    assert tap.connections > 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_goes_unnoticed(network, client, number):
    """As on a Unix socket."""
    store = client(network)
    assert 1 == store.increment("n")

    network.stop(number)
    network.start()

    assert 2 == store.increment("n")


def test_who_is_gone_is_forgotten(network, home):
    """The watch of a client that was killed waits no more."""
    watch = "import sys; from kvclient import Client; next(iter(Client(sys.argv[1]).watch('key')))"
    variables = environment(home, KVD_SERVER_KEY=keys.server().public.decode(), KVD_KEY="all")
    process = subprocess.Popen([sys.executable, "-c", watch, network.address], env=variables)

    def watchers():
        return json.loads(network.ask(b'{"op":"status"}'))["status"]["watchers"]

    wait_until(lambda: watchers() == 1)
    process.kill()
    process.wait()

    wait_until(lambda: watchers() == 0)


@pytest.mark.timeout(900)
def test_handshakes_that_fail_leave_nothing(network, long):
    """Strangers by the thousand: descriptors and memory are back afterwards, and a friend was served all along."""
    server = keys.server().public.decode()
    with Client(network.address, server_key=server, key="all", timeout=20) as friend:
        friend.put("key1", 1)
        fail(network.address, 200)
        wait_until(lambda: descriptors(network) < 40)
        before, memory = descriptors(network), network.resident()
        failing = threading.Thread(target=fail, args=(network.address, 10_000 if long else 300))
        failing.start()
        served = 0
        while failing.is_alive():
            assert 1 == friend.read("key1")
            served += 1

        assert served > 10
        wait_until(lambda: descriptors(network) <= before)
        wait_until(lambda: network.resident() < memory + (8 << 20))


def fail(address, times):
    """Begin handshakes as somebody whose key is not known would, and hang up, or be hung up on."""
    from kvclient.contract.curve import Curve
    from kvclient.contract.zmtp import Conversation, ProtocolError

    host, port = address.removeprefix("tcp://").split(":")
    for number in range(times):
        with socket.create_connection((host, int(port)), 10) as connection:
            conversation = Conversation(b"REQ", 1000, Curve(keys.server().public, keys.own("stranger")))
            with pytest.raises((ProtocolError, OSError)):  # noqa: PT012  # until one of them comes
                while True:
                    connection.sendall(conversation.outgoing)
                    conversation.outgoing = b""
                    if number % 3 == 0:
                        raise OSError
                    data = connection.recv(4096)
                    if not data:
                        raise OSError
                    conversation.receive(data)


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
