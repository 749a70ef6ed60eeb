"""Ending the daemon: on signals, at any time, cleanly."""

import os
import pty
import signal
import threading

import pytest

from kvclient import Client, DataStoreError
from kvd.backend.file.engine.interface import NEVER, Put
from kvd.backend.file.engine.snapshot import Snapshot
from processes import KVD, Daemon, environment, wait_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_cleanly(daemon, number):
    """SIGTERM and SIGINT end it with exit code 0, a trimmed file, and neither socket nor lock left behind."""
    daemon.ask(b'{"op":"create","key":"a","value":1}')

    assert 0 == daemon.stop(number)
    assert daemon.file.read_bytes().endswith(b'"value":1}\n}\n')
    assert {"store.json", "kvd.log", "run"} == {path.name for path in daemon.directory.iterdir()}
    assert "Traceback" not in daemon.log.read_text()


@pytest.mark.parametrize(("prefix", "ends"), [((), True), (("nohup",), False)])
def test_the_end_of_its_terminal(directory, prefix, ends):
    """Ends what was started in it, cleanly, wherever it logs to; what nohup protects stays, and reads its settings."""
    daemon = Daemon(directory)
    command = [*prefix, *KVD, "--file", str(daemon.file), "--endpoint", daemon.endpoint]
    pid, terminal = pty.fork()
    if pid == 0:
        log = os.open(daemon.log, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.execvpe(command[0], command, environment(directory))
    try:
        wait_until(lambda: "serving" in daemon.log.read_text() if daemon.log.exists() else False)
        os.close(terminal)
        if ends:
            assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert "stopping on SIGHUP" in daemon.log.read_text()
        else:
            wait_until(lambda: "reloaded the settings" in daemon.log.read_text())
            assert b'{"ok":true}' == daemon.ask(b'{"op":"ping"}')
    finally:
        if not ends:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_while_the_file_is_opened(directory, number):
    """A daemon that is still opening a large file ends at once, with exit code 0, and leaves the file as it was."""
    daemon = Daemon(directory)
    snapshot = Snapshot(daemon.file, 1)
    for key in range(200_000):
        snapshot.add(f"key{key}", Put(b"1", 1, NEVER))
    snapshot.finish({})
    snapshot.close_object()
    snapshot.leave()  # it holds the lock
    before = daemon.file.stat()
    process = daemon.launch()
    wait_until(daemon.file.with_name("store.json.lock").exists)
    process.send_signal(number)

    assert 0 == process.wait(timeout=30)
    assert before.st_mtime_ns == daemon.file.stat().st_mtime_ns
    assert "serving" not in daemon.log.read_text()
    assert "Traceback" not in daemon.log.read_text()


def test_every_write_that_was_acknowledged_before_a_stop_is_there(start_daemon):
    """Stopped under load, it answers what it has received; no acknowledged key is missing after a restart."""
    daemon = start_daemon()
    acknowledged = [[] for _ in range(4)]

    def write(mine, name):
        with Client(daemon.endpoint, timeout=0.5) as store:
            for number in range(100_000):
                try:
                    store.create(f"{name}-{number}", number)
                except DataStoreError:
                    return
                mine.append((f"{name}-{number}", number))

    threads = [threading.Thread(target=write, args=(mine, n)) for n, mine in enumerate(acknowledged)]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(len(mine) > 50 for mine in acknowledged))

    assert 0 == daemon.stop()
    for thread in threads:
        thread.join()
    daemon.start()
    with Client(daemon.endpoint) as store:
        for mine in acknowledged:
            for key, number in mine:
                assert number == store.read(key)


def test_stop_during_a_compaction(start_daemon):
    """A compaction that a stop interrupts leaves a sound file and no other."""
    daemon = start_daemon("--sync", "never")
    with Client(daemon.endpoint) as store:
        for number in range(30):
            store.batch_create({f"{number}-{n}": "x" * 100 for n in range(1000)})
        store.compact()

        assert store.status()["compacting"]
    assert 0 == daemon.stop()
    assert {"store.json", "kvd.log", "run"} == {path.name for path in daemon.directory.iterdir()}
    assert 0 == daemon.check().returncode
    daemon.start()
    with Client(daemon.endpoint) as store:
        assert 30_000 == store.status()["keys"]
