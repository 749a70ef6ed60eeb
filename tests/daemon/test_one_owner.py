"""One daemon owns a file and an endpoint: a second one is refused at once, and the first one undisturbed."""

import os
import signal
import socket
import stat

import pytest

from kvclient import Client
from processes import Daemon, wait_until


def second(daemon, *, file=None, endpoint=None):
    """A daemon that has not been started, on the first one's file and endpoint unless told otherwise."""
    other = Daemon(daemon.directory)
    other.file, other.endpoint = file or daemon.file, endpoint or daemon.endpoint
    other.log = daemon.directory / "second.log"
    return other


@pytest.mark.parametrize("same", ["file", "endpoint", "both"])
def test_a_second_daemon_is_refused(daemon, same):
    """Exit code 1, the owner's pid in the message, its socket and file untouched, and its clients still connected."""
    path = daemon.endpoint.removeprefix("ipc://")
    with Client(daemon.endpoint) as store:
        store.create("key1", 1)
        before = os.stat(path), daemon.file.read_bytes()
        other = second(
            daemon,
            file=daemon.directory / "other.json" if same == "endpoint" else None,
            endpoint=f"ipc://{daemon.directory}/other.sock" if same == "file" else None,
        )

        assert 1 == other.launch().wait(timeout=30)

        told = other.log.read_text()
        assert f"in use by process {daemon.process.pid}" in told
        assert 1 == told.count("\n")
        assert before == (os.stat(path), daemon.file.read_bytes())
        assert 1 == store.read("key1")
        store.create("key2", 2)
    assert daemon.answers()
    assert not (daemon.directory / "other.json").exists()
    assert not (daemon.directory / "other.sock").exists()


@pytest.fixture
def port():
    """A TCP port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "*"])
def test_a_second_daemon_on_a_tcp_endpoint_is_refused(directory, start_daemon, port, host):
    """As on any other, before it touches a file."""
    first = start_daemon(insecure_tcp="true")
    first.stop()
    first.endpoint = f"tcp://127.0.0.1:{port}"
    first.start()
    other = second(first, file=directory / "other.json", endpoint=f"tcp://{host}:{port}")

    assert 1 == other.launch().wait(timeout=30)

    assert f"kvd: The endpoint {other.endpoint} is in use by another process.\n" == other.log.read_text()
    assert not other.file.exists()
    assert first.answers()


def test_a_tcp_port_of_another_program(directory, port):
    """It is refused as well, though who has it is not known."""
    daemon = Daemon(directory)
    daemon.endpoint = f"tcp://127.0.0.1:{port}"
    with socket.create_server(("127.0.0.1", port)):
        assert 1 == daemon.launch().wait(timeout=30)

    assert f"kvd: The endpoint {daemon.endpoint} is in use by another process.\n" == daemon.log.read_text()
    assert not daemon.file.exists()


def test_a_killed_daemon_leaves_nothing_in_the_way(daemon):
    """Its stale socket and locks are taken over."""
    daemon.kill()
    assert (daemon.directory / "store.sock").is_socket()

    other = second(daemon).start()

    assert 0 == other.stop()


def test_a_daemon_that_ends_takes_its_traces_with_it(daemon):
    """Socket and locks are gone, the file stays."""
    assert 0 == daemon.stop()

    assert ["kvd.log", "run", "store.json"] == sorted(os.listdir(daemon.directory))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(daemon, number):
    """Exit code 0 and a line in the log."""
    assert 0 == daemon.stop(number)
    assert f"stopping on {number.name}" in daemon.log.read_text()
    assert "stopped" in daemon.log.read_text().splitlines()[-1]


@pytest.mark.parametrize("kind", ["regular file", "directory", "symbolic link", "fifo", "someone's socket"])
def test_what_lies_at_the_endpoint_is_never_replaced(directory, kind):
    """Neither a file nor another program's socket: exit code 1, and it is still there."""
    daemon = Daemon(directory)
    path = directory / "store.sock"
    with socket.socket(socket.AF_UNIX) as other:
        match kind:
            case "regular file":
                path.write_text("precious")
            case "directory":
                path.mkdir()
            case "symbolic link":
                (directory / "precious").write_text("precious")
                path.symlink_to(directory / "precious")
            case "fifo":
                os.mkfifo(path)
            case _:
                other.bind(str(path))
                other.listen()
        before = path.lstat()

        assert 1 == daemon.launch().wait(timeout=30)

    assert (before.st_ino, stat.S_IFMT(before.st_mode)) == (path.lstat().st_ino, stat.S_IFMT(path.lstat().st_mode))
    assert "Traceback" not in daemon.log.read_text()
    assert str(path) in daemon.log.read_text()
    assert not daemon.file.exists()
    if kind == "regular file":
        assert "precious" == path.read_text()
    if kind == "someone's socket":
        assert f"in use by process {os.getpid()}" in daemon.log.read_text()


def test_of_many_that_start_at_once_one_serves(directory):
    """Whichever wins, the others are refused and it serves."""
    daemons = [Daemon(directory) for _ in range(6)]
    for number, daemon in enumerate(daemons):
        daemon.log = directory / f"{number}.log"
        daemon.launch()
    try:
        wait_until(lambda: sum(daemon.process.poll() is None for daemon in daemons) == 1)
        (winner,) = [daemon for daemon in daemons if daemon.process.poll() is None]
        wait_until(winner.answers)

        assert {1} == {daemon.process.returncode for daemon in daemons if daemon is not winner}
    finally:
        for daemon in daemons:
            daemon.kill()


def test_a_ttl_runs_out_across_a_restart(daemon):
    """It counts from the commit, also while no daemon runs: neither longer nor anew."""
    with Client(daemon.endpoint, timeout=30) as store:
        store.batch_create({"key1": 1, "key2": 2}, ttl=3)
        expires_at = store.entry("key1").expires_at
        daemon.stop()
        daemon.start()

        assert expires_at == store.entry("key1").expires_at
        wait_until(lambda: store.status()["keys"] == 0)
        daemon.kill()
        daemon.start()
        assert 0 == store.status()["keys"]
        store.create("key1", "new")
