"""Keys that are revoked, whatever their owners are doing at that moment and however it is done."""

import json

import zmq

from kvclient import Client
from kvclient.contract import keys
from processes import wait_until


def names(daemon):
    """The names of the keys of those who are connected."""
    processes = json.loads(daemon.ask(b'{"op":"status"}'))["status"]["processes"]
    return [process["key"] for process in processes if process.get("key")]


def test_a_connection_that_has_sent_nothing_yet(network):
    """Its handshake was before the revocation, and its first request comes after it: it gets not even a refusal."""
    with (
        zmq.Context() as context,
        context.socket(zmq.REQ) as early,
        Client(network.address, server_key=keys.server().public.decode(), key="all") as seen,
    ):
        early.linger = 0
        early.curve_serverkey = keys.server().public
        early.curve_publickey, early.curve_secretkey = keys.own("all")
        monitor = early.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        early.connect(network.address)
        assert monitor.poll(20_000)
        early.disable_monitor()
        monitor.close()
        seen.create("key1", 1)
        keys.revoke("all")
        wait_until(lambda: names(network) == [])
        early.send(b'{"op":"put","key":"key1","value":2}')

        assert not early.poll(500)
        assert 1 == json.loads(network.ask(b'{"op":"read","key":"key1"}'))["value"]


def test_whoever_connects_right_after_it(network, client):
    """Takes note of it in the handshake, and the connections there are end all the same."""
    client(network).ping()
    keys.revoke("all")
    client(network, "some").ping()

    wait_until(lambda: names(network) == ["some"])


def test_a_file_that_is_written_over(network, client):
    """As `cp` does it, which leaves the directory as it was."""
    client(network).ping()
    file = keys.allowed_directory() / "all.key"
    file.write_text(file.read_text().replace(keys.own("all").public.decode(), "0" * 40))

    wait_until(lambda: names(network) == [])


def test_a_file_that_cannot_be_read(network, client):
    """Lets nobody in until it is mended, as nobody knows whose it was; the log says which it is."""
    store = client(network)
    store.ping()
    broken = keys.allowed_directory() / "broken.key"
    broken.write_text("rubbish")
    wait_until(lambda: names(network) == [])
    assert str(broken) in network.log.read_text()

    broken.unlink()
    store.ping()
