"""Over a network, nobody without a right gets a byte, and each is told what to do."""

import json
import os
import socket
import threading

import pytest
import zmq

from kvclient import AccessDeniedError, Client, DataStoreError, InvalidValueError
from kvclient.contract import keys
from processes import Daemon, kvctl, wait_until

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01"
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03REQ"


def test_a_key_with_all_rights(network, client):
    """Its owner does what the owner of the daemon does, but for what is the owner's alone."""
    store = client(network)

    assert 1 == store.create("key1", {"a": [1, 2]})
    assert {"a": [1, 2]} == store.read("key1")
    assert 2 == store.increment("n", 2)
    with pytest.raises(AccessDeniedError, match=r"Only the owner .* status was refused to key all"):
        store.status()


def test_large_values(network, client):
    """They come in many pieces, each way."""
    store = client(network)
    large = "x" * 1_000_000

    store.put("large", large)

    assert large == store.read("large")


def test_a_key_with_some_rights(network, client):
    """What is another's is refused by the key's name, whether it exists or not."""
    client(network).put("other", 1)
    store = client(network, "some")

    store.put("mine:1", 1)

    assert 1 == store.read("mine:1")
    for key in ("other", "none"):
        with pytest.raises(AccessDeniedError, match=f"Key '{key}' may not be read by key some"):
            store.read(key)


def test_a_key_without_a_table(network, client):
    """Its owner is let in, and may do nothing."""
    with pytest.raises(AccessDeniedError, match="by key none: the right 'read' is not given"):
        client(network, "none").read("key1")


def test_an_unknown_key(network, client):
    """It is refused before anything is sent, at once and not after a timeout."""
    with pytest.raises(AccessDeniedError, match=r"does not let this key in: .*kvctl keys allow NAME KEY"):
        client(network, "stranger").read("key1")


def test_another_server_key(network, client):
    """The daemon does not have the key that was expected; so it may be somebody else, who is told nothing."""
    with pytest.raises(AccessDeniedError, match="Is server_key the key of that daemon"):
        client(network, server_key=keys.own("stranger").public.decode()).read("key1")


def test_no_key(network):
    """A client without keys does not get in, and is told that keys may be what it lacks."""
    with Client(network.address, timeout=20) as store, pytest.raises(AccessDeniedError, match="takes a server_key"):
        store.read("key1")


@pytest.mark.parametrize(
    "said",
    [
        GREETING + b"NULL".ljust(52, b"\x00") + READY + b"\x01\x00\x00\x0d" + b'{"op":"ping"}',
        GREETING + b"PLAIN".ljust(52, b"\x00") + b"\x04\x09\x05HELLO\x01a\x01b",
        GREETING + b"CURVE".ljust(52, b"\x00") + READY + b"\x01\x00\x00\x0d" + b'{"op":"ping"}',
        GREETING + b"CURVE".ljust(52, b"\x00") + b"\x04\xc8\x05HELLO\x01\x00" + bytes(192),
        b"GET / HTTP/1.1\r\n\r\n" + bytes(100),
    ],
    ids=["no encryption", "a password", "READY instead of HELLO", "a HELLO of zeros", "no ZeroMQ"],
)
def test_who_does_not_speak_curve(network, client, said):
    """Gets a greeting, an ERROR at most, and the end of the connection: nothing of the store."""
    client(network).put("key1", "a secret")
    host, port = network.address.removeprefix("tcp://").split(":")
    heard = b""
    with socket.create_connection((host, int(port)), 30) as connection:
        connection.sendall(said)
        try:
            while more := connection.recv(4096):
                heard += more
        except ConnectionResetError:
            pass

    assert len(heard) <= 64 + 32
    assert b"ok" not in heard


def test_a_bare_socket_without_encryption(network):
    """Pyzmq's own REQ socket without a key gets no answer."""
    with zmq.Context() as context, context.socket(zmq.REQ) as asking:
        asking.linger = 0
        asking.connect(network.address)
        asking.send(b'{"op":"ping"}')

        assert not asking.poll(1000)


def test_a_revoked_key(network, client):
    """New connections are refused; those there are end, a watch that waits included."""
    store = client(network)
    store.put("key1", 1)
    watching = Client(network.address, server_key=keys.server().public.decode(), key="all", timeout=20)
    told = []

    def watch():
        try:
            next(iter(watching.watch("key")))
        except DataStoreError as error:
            told.append(error)

    thread = threading.Thread(target=watch)
    thread.start()
    wait_until(lambda: json.loads(network.ask(b'{"op":"status"}'))["status"]["watchers"])

    keys.revoke("all")

    thread.join(30)
    assert [AccessDeniedError] == [type(error) for error in told]
    with pytest.raises(AccessDeniedError, match="does not let this key in"):
        store.read("key1")
    assert 0 == json.loads(network.ask(b'{"op":"status"}'))["status"]["watchers"]


def test_a_name_that_goes_to_another_key(network, client):
    """Who had it before is disconnected, though the name is allowed."""
    store = client(network)
    store.put("key1", 1)

    keys.revoke("all")
    keys.allow("all", keys.own("stranger").public)

    wait_until(lambda: "the key 'all' of its peer was revoked" in network.log.read_text())
    with pytest.raises(AccessDeniedError, match="does not let this key in"):
        store.read("key1")
    assert 1 == client(network, "stranger").read("key1")


def test_a_key_that_is_allowed_again(network, client):
    """It counts at once."""
    keys.revoke("all")
    with pytest.raises(AccessDeniedError):
        client(network).read("key1")

    keys.allow("all", keys.own("all").public)

    assert 1 == client(network).create("key1", 1)


def test_rights_are_taken_by_a_reload(home, start_daemon, client):
    """Of those who are connected as well."""
    keys.allow("all", keys.new("all").public)
    config = home / ".config" / "kvd" / "config.toml"
    config.write_text("[[access]]\nkey = 'all'\nread = ['']\n")
    daemon = start_daemon(at=home, network="tcp://127.0.0.1:" + str(_free_port()))
    daemon.address = daemon.variables["KVD_NETWORK"]
    store = client(daemon)
    assert not store.exists("key1")

    config.write_text("[[access]]\nkey = 'all'\nread = ['other:']\n")
    os.kill(daemon.process.pid, 1)
    wait_until(lambda: "reloaded" in daemon.log.read_text())

    with pytest.raises(AccessDeniedError, match="Key 'key1' may not be read by key all"):
        store.exists("key1")


def test_who_is_connected(network, client):
    """`status` names the key; the secrets are in no log and no answer."""
    client(network).exists("key1")
    client(network, "some").exists("mine:1")

    status = json.loads(network.ask(b'{"op":"status"}'))["status"]

    assert network.address == status["network"]
    assert {"all", "some"} <= {process.get("key") for process in status["processes"]}
    told = network.log.read_text() + json.dumps(status)
    for name in ("all", "some", "server"):
        assert keys.own(name).secret.decode() not in told
        assert keys.own(name).secret.decode() not in repr(keys.own(name))


def test_ephemeral_keys_are_refused(network, client):
    """The daemon's kernel does not know the process."""
    with pytest.raises(InvalidValueError, match="TCP"):
        client(network).put("key1", 1, ephemeral=True)


def test_kvctl(network, home):
    """The keys can be settings, or variables."""
    server = keys.server().public.decode()

    done = kvctl(
        "put", "key1", "1", "--endpoint", network.address, directory=home, KVD_SERVER_KEY=server, KVD_KEY="all"
    )
    assert (0, "") == (done.returncode, done.stderr)
    (home / ".config" / "kvd" / "config.toml").write_text(
        f"endpoint = '{network.address}'\nserver_key = '{server}'\nkey = 'some'\n"
    )
    read = kvctl("read", "key1", directory=home)

    assert 1 == read.returncode
    assert "kvctl: Key 'key1' may not be read by key some" in read.stderr


class TestWithoutEncryption:
    def test_on_other_addresses_than_loopback_it_is_refused(self, home):
        """Everybody on the network could read along; the error says what else there is."""
        daemon = Daemon(home, insecure_tcp="true", network=f"tcp://0.0.0.0:{_free_port()}")

        assert 1 == daemon.launch().wait(timeout=30)
        assert "insecure_tcp = true is for a loopback address" in daemon.log.read_text()
        assert "Traceback" not in daemon.log.read_text()

    def test_on_a_loopback_address(self, home, start_daemon):
        """Everybody who reaches it may do everything."""
        port = _free_port()
        start_daemon(at=home, insecure_tcp="true", network=f"tcp://127.0.0.1:{port}")

        with Client(f"tcp://127.0.0.1:{port}", timeout=20) as store:
            assert 1 == store.create("key1", 1)
            assert store.status()["keys"] == 1

    def test_a_client_sends_nothing_to_another_machine(self):
        """Here the machine has another address besides; who listens there is not told a word."""
        address = _other_address()
        with (
            socket.create_server((address, 0)) as listener,
            Client(f"tcp://{address}:{listener.getsockname()[1]}", timeout=20) as store,
        ):
            with pytest.raises(AccessDeniedError, match="would not be encrypted"):
                store.read("key1")
            listener.settimeout(5)
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(5)
                assert b"" == accepted.recv(100)


def _other_address():
    """Return an address of this machine that is no loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # for documentation, RFC 5737; nothing is sent
        except OSError:
            pytest.skip("this machine has loopback addresses only")
        return probe.getsockname()[0]


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
