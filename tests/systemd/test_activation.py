"""A socket that somebody else listens on, as systemd does: it is accepted from, and never unlinked or replaced."""

import os
import socket
import stat
import subprocess

import pytest
import zmq

from kvclient.contract.errors import DataStoreError
from kvd.server.activation import take_sockets
from kvd.server.endpoint import Endpoint
from processes import KVD, environment


class Activated:
    """A listening socket, and daemons to which it is passed as systemd passes it."""

    def __init__(self, directory):
        self.directory = directory
        self.path = directory / "store.sock"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.path))
        self.listener.listen(64)
        self.inode = self.path.stat().st_ino
        self.processes = []

    def launch(self, endpoint="default"):
        """Start a daemon with the socket as descriptor 3 of a process whose pid LISTEN_PID names."""
        endpoint = f"ipc://{self.path}" if endpoint == "default" else endpoint
        script = f'exec 3<&{self.listener.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        command = [*KVD, "--file", f"{self.directory}/store.json", *(["--endpoint", endpoint] if endpoint else [])]
        with (self.directory / "kvd.log").open("ab") as log:
            process = subprocess.Popen(
                ["/bin/bash", "-c", script, "bash", *command],
                pass_fds=[self.listener.fileno()],
                stderr=log,
                env=environment(self.directory),
            )
        self.processes.append(process)
        return process

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.listener.close()


@pytest.fixture
def activated(directory):
    activated = Activated(directory)
    yield activated
    activated.close()


@pytest.fixture
def request_socket(activated):
    """A bare REQ socket of a program that waits long enough."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, 30_000)
        socket.connect(f"ipc://{activated.path}")
        yield socket


def test_the_request_that_starts_the_daemon_is_answered(activated, request_socket):
    """A request that waits in the socket before there is a daemon gets its reply from it."""
    request_socket.send(b'{"op":"create","key":"key1","value":1}')

    activated.launch()

    assert request_socket.recv() == b'{"ok":true,"revision":1}'


def test_the_socket_outlives_the_daemon(activated, request_socket):
    """The daemon's end leaves the very same socket listening; the next daemon answers what waits there."""
    process = activated.launch()
    request_socket.send(b'{"op":"ping"}')
    request_socket.recv()
    process.terminate()
    assert process.wait(30) == 0

    request_socket.send(b'{"op":"ping"}')
    activated.launch()

    assert request_socket.recv() == b'{"ok":true}'
    assert activated.inode == activated.path.stat().st_ino
    assert stat.S_ISSOCK(activated.path.stat().st_mode)


def test_what_was_passed_is_the_endpoint(activated, request_socket):
    """Where no setting names one, the daemon serves on it, wherever it is, and says so."""
    request_socket.send(b'{"op":"status"}')
    activated.launch(endpoint=None)

    assert f'"endpoint":"ipc://{activated.path}"'.encode() in request_socket.recv()


def test_a_socket_at_another_place_than_the_settings_say(activated):
    """The daemon refuses to serve where nobody would look for it, and says what to do."""
    process = activated.launch(endpoint=f"ipc://{activated.directory}/other.sock")

    assert process.wait(30) == 1
    log = (activated.directory / "kvd.log").read_text()
    assert f"systemd listens on {activated.path}" in log
    assert "kvctl service install" in log


def test_a_socket_that_was_put_in_place_of_one_s_own_stays(directory):
    """A daemon that bound its own socket removes that one at its end, and not systemd's that replaced it meanwhile."""
    path = directory / "store.sock"
    endpoint = Endpoint(f"ipc://{path}")
    endpoint.bind().close()
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))

        endpoint.release()

        assert path.exists()


class TestTakeSockets:
    def test_what_was_passed_to_another_process_is_not_taken(self):
        """LISTEN_PID names whose sockets they are; a child that inherited the variables takes nothing."""
        assert take_sockets({"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1"}) == {}

    def test_the_variables_are_gone_afterwards(self):
        """So that no child process takes the sockets for its own."""
        variables = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "kvd", "HOME": "/"}

        take_sockets(variables)

        assert variables == {"HOME": "/"}

    @pytest.mark.parametrize("count", ["abc", "1000000", "9" * 30])
    def test_sockets_that_were_not_passed(self, count):
        """The variables are another program's, and wrong."""
        with pytest.raises(DataStoreError, match=f"LISTEN_FDS={count}"):
            take_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count})

    def test_without_systemd_there_are_none(self):
        """A daemon that was started by hand binds its endpoint itself."""
        assert take_sockets({}) == {}


def test_no_endpoint_but_a_socket(directory):
    """A socket was passed, and the settings name a TCP endpoint: refused, before anything is bound."""
    with pytest.raises(DataStoreError, match="the settings name the endpoint"):
        Endpoint("tcp://127.0.0.1:7411", {directory / "store.sock": 3})
