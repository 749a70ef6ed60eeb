"""What a client sees when its daemon is slow, away, killed or none at all."""

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest
import zmq
from awaited import Awaited

from kvclient import (
    AsyncClient,
    Client,
    DaemonUnavailableError,
    DataStoreError,
    RequestError,
    RequestTimeoutError,
    ValueTooLargeError,
)
from kvclient.client import attempts
from kvclient.contract.zmtp import Conversation
from processes import Daemon, environment, wait_until


@pytest.fixture(params=[Client, Awaited])
def client(request):
    """The class of a client, for threads or for tasks: what they do is the same."""
    return request.param


@pytest.fixture
def stopped(daemon):
    """A daemon that is there and does nothing until SIGCONT."""
    daemon.freeze()
    yield daemon
    daemon.process.send_signal(signal.SIGCONT)


def test_a_daemon_that_hangs_ends_in_a_timeout(stopped):
    """RequestTimeoutError tells whether the request may have been carried out."""
    store = Client(stopped.endpoint, timeout=0.3)
    changes = [lambda: store.create("key1", 1), lambda: store.delete("key1"), lambda: store.batch_create({"key1": 1})]
    reads = [lambda: store.read("key1"), store.ping, store.status]

    for call in (*changes, *reads):
        with pytest.raises(TimeoutError, match=r"^No answer from ipc://.* within 0.3 s\. ") as caught:
            call()

        assert RequestTimeoutError is type(caught.value)
        assert (call in changes) == ("may have been carried out" in str(caught.value))
        assert (call in reads) == ("Nothing was changed." in str(caught.value))


def test_a_late_reply_is_nobodys(daemon):
    """A reply that comes after its call timed out is not taken for that of the next call."""
    store = Client(daemon.endpoint)
    store.batch_create({"key1": "value1", "key2": "value2"})
    daemon.freeze()
    store.timeout = 0.1
    for _ in range(3):
        with pytest.raises(RequestTimeoutError):
            store.read("key1")
    daemon.process.send_signal(signal.SIGCONT)
    store.timeout = 20

    assert "value2" == store.read("key2")
    assert "value1" == store.read("key1")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TimeoutError(), ConnectionResetError(), RequestError("mine")])
def test_an_interrupted_call_leaves_nothing_behind(stopped, error):
    """What a signal handler raises in the middle of a call ends it, and the client is as good as new."""

    def interrupt(*_):
        raise error

    store = Client(stopped.endpoint, timeout=20)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(type(error)) as caught:
            store.create("key1", 1)
    finally:
        signal.signal(signal.SIGALRM, before)
    stopped.process.send_signal(signal.SIGCONT)
    assert error is caught.value

    store.create("key2", "value2")

    assert "value2" == store.read("key2")


def test_a_call_inside_another_gets_its_own_answer(daemon):
    """As a signal handler's, which comes in the midst of the program's own."""
    store = Client(daemon.endpoint, timeout=20)
    store.batch_create({"key1": "value1", "key2": "value2"})
    values, revisions = [], []

    def ask(*_):
        daemon.process.send_signal(signal.SIGCONT)
        values.append(store.read("key2"))
        revisions.append(store.create(f"inside{len(revisions)}", 1))

    def interrupted(call, *arguments):
        daemon.freeze()
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        return call(*arguments)

    before = signal.signal(signal.SIGALRM, ask)
    try:
        values.append(interrupted(store.read, "key1"))
        revisions.append(interrupted(store.create, "outside", 1))
    finally:
        signal.signal(signal.SIGALRM, before)

    assert ["value2", "value1", "value2"] == values
    assert [2, 3, 4] == sorted(revisions)


def test_nobody_listens(directory):
    """On an endpoint that was named nobody is started, and the error tells so."""
    store = Client(f"ipc://{directory}/nobody.sock", timeout=0.1)

    with pytest.raises(ConnectionError, match=r"No daemon listens on ipc://.*nobody.sock") as caught:
        store.create("key1", 1)

    assert DaemonUnavailableError is type(caught.value)
    assert [] == list(directory.iterdir())


def test_nobody_listens_on_a_tcp_port():
    """It is told of as such there, too: nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DaemonUnavailableError, match=f"No daemon listens on tcp://127.0.0.1:{port}"):
        Client(f"tcp://127.0.0.1:{port}", timeout=0.1).create("key1", 1)


def test_a_host_that_does_not_answer(monkeypatch):
    """No connection is waited for any longer than the call may take."""
    waits = []

    def connect(_, seconds):
        waits.append(seconds)
        if len(waits) == 1:
            return socket.socket()
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", connect)

    with pytest.raises(RequestTimeoutError):
        Client("tcp://host:7411", timeout=0.2).create("key1", 1)

    assert 0 < max(waits) <= 0.2


@pytest.mark.parametrize(
    "endpoint", ["ipc://relative", f"ipc:///{'x' * 120}", "nonsense", "nonsense://x", "tcp://", "tcp://x:y"]
)
def test_an_endpoint_that_cannot_be(endpoint):
    """An endpoint that nobody could listen on is told of as such."""
    with pytest.raises(DataStoreError, match=r"endpoint|socket path"):
        Client(endpoint).ping()


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("timeout", [math.nan, None, "5", 0, -1], ids=str)
def test_a_timeout_that_cannot_be(kind, timeout):
    """It is refused when it is set, not when it passes or never does."""
    store = kind("ipc:///nowhere", timeout=7)

    with pytest.raises(ValueError, match=f"seconds above 0, not {timeout!r}"):
        kind("ipc:///nowhere", timeout=timeout)
    with pytest.raises(ValueError, match=f"seconds above 0, not {timeout!r}"):
        store.timeout = timeout

    assert 7 == store.timeout


@pytest.mark.parametrize(
    "answer", [b"", b"hello", b"[]", b"{}", b'{"ok":false}', b'{"ok":0,"error":1,"message":2,"keys":3}']
)
def test_what_answers_is_no_kvd(directory, client, answer):
    """A reply that is not one of kvd's is an error that shows it."""
    with zmq.Context() as context, context.socket(zmq.REP) as other:
        other.bind(f"ipc://{directory}/other.sock")
        thread = threading.Thread(target=lambda: (other.recv(), other.send(answer)))
        thread.start()

        with pytest.raises(DataStoreError, match="is no kvd"), client(f"ipc://{directory}/other.sock") as store:
            store.read("key1")

        thread.join()


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["nothing", "HTTP"])
def test_what_answers_is_no_zeromq(directory, client, says):
    """Neither one that hangs up nor one that says something else keeps a call for longer than its timeout, and the call
    does not ask without a pause.
    """
    path = directory / "other.sock"
    asked = []
    with socket.create_server(str(path), family=socket.AF_UNIX) as listener:

        def serve():
            while True:
                connection, _ = listener.accept()
                with connection:
                    asked.append(said := connection.recv(1000))
                    if said == b"end":
                        return
                    if said:
                        connection.sendall(says)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            told = r"No answer|is no kvd: .* is no ZeroMQ socket"
            with pytest.raises(DataStoreError, match=told), client(f"ipc://{path}", timeout=0.5) as store:
                store.ping()
        finally:
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(str(path))
                last.sendall(b"end")
                thread.join()
    assert len(asked) < 60


@contextmanager
def peer(listener, talk):
    """Have `talk(connection, conversation)` with one client after the other, until it returns True."""

    def serve():
        ended = False
        while not ended:
            connection, _ = listener.accept()
            with connection, suppress(OSError):  # many only look whether somebody listens
                conversation = Conversation(b"REP", 1 << 30)
                connection.sendall(conversation.outgoing)
                ended = talk(connection, conversation)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    thread.join()


@pytest.fixture
def listener(directory):
    with socket.create_server(f"{directory}/other.sock", family=socket.AF_UNIX) as listener:
        yield listener


def received(connection, conversation, pause=0.0):
    """Return the request that comes in, in pieces; None if the client hangs up."""
    request = None
    while request is None and (piece := connection.recv(1 << 16)):
        request = conversation.receive(piece)
        time.sleep(pause)
    return request


PING = b"\x04\x07\x04PING\x00\x10"


def test_a_peer_that_pings(listener, client):
    """What a proxy built on libzmq may say besides replies, and in one piece with them, is answered and no reply."""
    pongs = []

    def talk(connection, conversation):
        while said := connection.recv(1000):
            pongs.append(said.count(b"PONG"))
            if conversation.receive(said) is not None:
                connection.sendall(conversation.message(b'{"ok":true}') + PING)
        return bool(pongs)

    with peer(listener, talk), client(f"ipc://{listener.getsockname()}") as store:
        for _ in range(3):
            store.ping()

    assert sum(pongs) >= 2  # with the last reply nobody may look at the PING behind it


def test_a_peer_that_only_pings(listener, client):
    """A request that got lost behind such a proxy is repeated all the same."""
    requests = []

    def talk(connection, conversation):
        if (request := received(connection, conversation)) is not None:
            requests.append(request)
        while len(requests) == 1:
            connection.sendall(PING)
            connection.recv(1000)
            time.sleep(0.01)
        if requests:
            connection.sendall(conversation.message(b'{"ok":true}'))
        return bool(requests)

    with peer(listener, talk), client(f"ipc://{listener.getsockname()}", timeout=20) as store:
        store.ping()

    assert 2 == len(requests)


def test_a_slow_line(listener, client, monkeypatch):
    """A request and a reply that take longer than an attempt are not given up while there is progress."""
    monkeypatch.setattr(attempts, "MOST_RETRY_SECONDS", 0.25)
    value = "x" * 1_000_000

    def talk(connection, conversation):
        if (request := received(connection, conversation, pause=0.03)) is None:
            return False
        reply = conversation.message(b'{"ok":true,"revision":1,"value":%s}' % request)
        for at in range(0, len(reply), 1 << 16):
            connection.sendall(reply[at : at + (1 << 16)])
            time.sleep(0.03)
        return True

    with peer(listener, talk), client(f"ipc://{listener.getsockname()}", timeout=20) as store:
        assert 1 == store.create("key1", value)


def test_a_peer_that_hangs_up_during_a_request(listener, client):
    """It is asked once more, as it may have restarted; then the request is too large for it."""

    def talk(connection, conversation):
        while not conversation.established:
            conversation.receive(connection.recv(1000))
        hung_up.append(len(connection.recv(1000)))
        return len(hung_up) == 2

    hung_up = []
    with (
        peer(listener, talk),
        pytest.raises(RequestError, match=r"hung up .* 100\d{4} bytes .* max_request_bytes.* not carried out"),
        client(f"ipc://{listener.getsockname()}", timeout=20) as store,
    ):
        store.create("key1", "x" * 1_000_000)


def test_the_first_address_that_accepts(client, monkeypatch):
    """Of a host that has several, such as one of IPv6 and one of IPv4."""

    def addresses(_host, port, *_arguments, **_options):
        inet = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, ""
        return [(*inet, ("127.0.0.2", port)), (*inet, ("127.0.0.1", port))]

    def talk(connection, conversation):
        if received(connection, conversation) is None:
            return False
        connection.sendall(conversation.message(b'{"ok":true}'))
        return True

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(socket, "getaddrinfo", addresses)
        endpoint = f"tcp://host:{listener.getsockname()[1]}"
        with peer(listener, talk), client(endpoint, timeout=20) as store:
            store.ping()


@pytest.mark.parametrize("answered", [False, True])
def test_a_request_larger_than_any(start_daemon, client, answered):
    """The daemon receives it to its end, refuses it with the setting that it is about, and serves on."""
    with client(start_daemon(max_request_bytes="1").endpoint, timeout=20) as store:
        if answered:
            store.ping()
        with pytest.raises(
            ValueTooLargeError, match=r"50000\d\d bytes; the limit is \d+ \(setting max_request_bytes\)"
        ):
            store.create("key1", "x" * 5_000_000)

        assert 1 == store.create("key1", 1)


def test_a_host_without_an_address(client, monkeypatch):
    """DaemonUnavailableError if it is so from the start; after a request was sent, that may have been carried out."""

    def fails(*_):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def talk(connection, conversation):
        if received(connection, conversation) is None:
            return False
        monkeypatch.setattr(socket, "getaddrinfo", fails)
        return True

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        client(f"tcp://127.0.0.1:{listener.getsockname()[1]}") as store,
    ):
        with (
            peer(listener, talk),
            pytest.raises(RequestTimeoutError, match=r"not known\. .* may have been carried out"),
        ):
            store.create("key1", 1)
        with pytest.raises(DaemonUnavailableError, match="cannot be reached: Name or service not known"):
            store.create("key1", 1)


OF_SOMEBODY_ELSE = """
import os, sys
from kvclient import Client, DaemonUnavailableError
from kvclient.cli.output import report
os.getuid() or os.setuid(65534)  # root may do all the same, and has to become somebody else
try:
    Client(sys.argv[1]).ping()
except DaemonUnavailableError as error:
    sys.exit(report(error))
"""


def test_a_daemon_of_somebody_else(daemon):
    """A socket that may not be written to is told of as such, at once, by kvctl too."""
    os.chmod(daemon.endpoint.removeprefix("ipc://"), 0)
    done = subprocess.run(
        [sys.executable, "-c", OF_SOMEBODY_ELSE, daemon.endpoint], capture_output=True, text=True, check=False
    )

    assert f"kvctl: The daemon on {daemon.endpoint} cannot be reached: Permission denied.\n" == done.stderr
    assert 6 == done.returncode


WITHOUT_DESCRIPTORS = """
import os, resource, sys
from kvclient import Client, DaemonUnavailableError
resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    Client(sys.argv[1]).ping()
except DaemonUnavailableError as error:
    print(error)
"""


def test_no_more_descriptors(python, shared_daemon):
    """That no connection can be made is told of as such."""
    assert python(WITHOUT_DESCRIPTORS, shared_daemon.endpoint).endswith("cannot be reached: Too many open files.")


def test_a_socket_of_another_type(directory, client):
    """What cannot be connected to, though something is bound there, ends in a timeout."""
    path = directory / "other.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))

        with (
            pytest.raises(RequestTimeoutError, match="No answer from"),
            client(f"ipc://{path}", timeout=0.1) as store,
        ):
            store.ping()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tcp(directory, client, host):
    """A daemon on a loopback port is the same to clients of all kinds."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    endpoint = f"tcp://{host}:{port}"
    daemon = Daemon(directory, insecure_tcp="true")
    daemon.endpoint = f"tcp://127.0.0.1:{port}"
    daemon.launch()
    try:
        wait_until(lambda: "serving" in daemon.log.read_text())
        with client(endpoint, timeout=30) as store:
            assert 1 == store.create("key1", "value1")
        daemon.endpoint = endpoint
        assert b'"value1"' in daemon.ask(b'{"op":"read","key":"key1"}')
    finally:
        assert 0 == daemon.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_between_two_calls_goes_unnoticed(daemon, client, number):
    """The next call finds the new daemon by itself."""
    with client(daemon.endpoint, timeout=30) as store:
        store.create("key1", 1)
        daemon.stop(number)
        daemon.start()

        assert 1 == store.read("key1")
        daemon.stop(number)
        daemon.start()
        store.create("key2", 2)
        assert 2 == store.read("key2")


@pytest.mark.parametrize("keys", [1, 200])
def test_a_call_lives_through_a_restart(daemon, keys):
    """A call that is waiting, or sending, when its daemon is killed is answered by the next daemon."""
    store = Client(daemon.endpoint, timeout=60)
    store.create("key1", 1)
    daemon.freeze()
    answers = []
    items = {f"large{number}": "x" * 16_000 for number in range(keys)}
    thread = threading.Thread(target=lambda: answers.append(store.batch_create(items)))
    thread.start()
    daemon.kill()
    daemon.start()
    thread.join()

    assert [2] == answers
    assert 1 + keys == store.status()["keys"]


def test_a_daemon_that_does_not_come_back(daemon):
    """If the daemon went away in the middle of a change, the error says that it may have been carried out."""
    store = Client(daemon.endpoint, timeout=1)
    store.create("key1", 1)
    connected, frozen = threading.Event(), threading.Event()
    errors = []

    def delete():
        store.ping()
        connected.set()
        frozen.wait()
        try:
            store.delete("key1")
        except DataStoreError as error:
            errors.append(error)

    thread = threading.Thread(target=delete)
    thread.start()
    connected.wait()
    daemon.freeze()
    frozen.set()
    daemon.kill()
    thread.join()

    assert [RequestTimeoutError] == [type(error) for error in errors]
    assert "may have been carried out" in str(errors[0])


class LossyProxy(threading.Thread):
    """Passes requests on and loses every second reply."""

    def __init__(self, inside, outside):
        super().__init__()
        self.inside, self.outside = inside, outside
        self.replies = 0
        self.ending = False

    def run(self):
        with zmq.Context() as context, context.socket(zmq.ROUTER) as front, context.socket(zmq.DEALER) as back:
            front.bind(self.outside)
            back.connect(self.inside)
            for socket in (front, back):
                socket.setsockopt(zmq.LINGER, 0)
            poller = zmq.Poller()
            poller.register(front, zmq.POLLIN)
            poller.register(back, zmq.POLLIN)
            while not self.ending:
                for socket, _ in poller.poll(50):
                    peer, *frames = socket.recv_multipart()
                    if socket is front:
                        self.peer = peer
                        back.send_multipart(frames)
                    else:
                        self.replies += 1
                        if self.replies % 2 == 0:
                            front.send_multipart([self.peer, peer, *frames])


def test_a_change_whose_reply_was_lost_is_carried_out_once(daemon, client):
    """The client asks again, and gets the first answer: no KeyExistsError for its own doing."""
    proxy = LossyProxy(daemon.endpoint, f"ipc://{daemon.directory}/proxy.sock")
    proxy.start()
    try:
        with client(f"ipc://{daemon.directory}/proxy.sock", timeout=30) as store:
            assert 1 == store.create("key1", 1)
            assert 2 == store.batch_create({"key2": 2, "key3": 3})
            assert 3 == store.delete("key1")
    finally:
        proxy.ending = True
        proxy.join()

    assert proxy.replies >= 6
    assert 3 == Client(daemon.endpoint).status()["revision"]


LOAD = """
import sys
from kvclient import Client
store = Client(sys.argv[1], timeout=60)
number = 0
while True:
    store.create(f"{sys.argv[2]}-{number}", number)
    print(number, flush=True)
    number += 1
"""


def test_everything_acknowledged_survives_kill_9(daemon):
    """Processes create under load while the daemon is killed: each create succeeds once, and none is missing after."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", LOAD, daemon.endpoint, f"p{number}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(daemon.directory),
        )
        for number in range(4)
    ]
    store = Client(daemon.endpoint, timeout=60)
    try:
        for step in range(1, 6):
            seen = store.status()["revision"]
            wait_until(lambda seen=seen, step=step: store.status()["revision"] > seen + 20 * step)
            daemon.kill()
            daemon.start()
    finally:
        for process in processes:
            process.terminate()
        outputs = [process.communicate(timeout=60) for process in processes]

    for number, (acknowledged, errors) in enumerate(outputs):
        assert errors == ""
        assert [str(index) for index in range(len(acknowledged.split()))] == acknowledged.split()
        assert all(store.read(f"p{number}-{index}") == int(index) for index in acknowledged.split())
    assert store.status()["keys"] <= sum(len(output.split()) for output, _ in outputs) + 4
