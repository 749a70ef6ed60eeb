"""A data file has one owner, whatever it is called and whoever removes its lock file."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from kvclient import Client
from kvclient.contract.errors import DataStoreError, StoreLockedError
from kvd import LocalDataStore
from kvd.backend.file.engine.check import check
from kvd.backend.file.engine.repair import repair
from processes import KVD, Daemon, environment, wait_until
from stores import Opened, contents


def can_mount():
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


needs_mounts = pytest.mark.skipif(not can_mount(), reason="no file can be mounted here")
WAYS = ["removed lock", "hard link", "symbolic link", pytest.param("bind mount", marks=needs_mounts)]


@pytest.fixture
def mounted():
    """Return the command that has a program see `file` also at `name`, if `name` is to be a mount."""

    def command(file, name):
        name.touch()
        return ("unshare", "-m", "sh", "-c", 'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh", file, name)

    return command


def another_way(way, file, mounted):
    """Return another path to `file`, and what a command is prefixed with to see it there."""
    other = file.with_name("other.json")
    match way:
        case "removed lock":
            file.with_name(f"{file.name}.lock").unlink(missing_ok=True)
            return file, ()
        case "hard link":
            os.link(file, other)
        case "symbolic link":
            other.symlink_to(file)
        case _:
            return other, mounted(file, other)
    return other, ()


def second(directory, file, prefix):
    """Start another daemon on `file`, with an endpoint of its own, and return its exit status and what it said."""
    daemon = Daemon(directory, prefix=prefix)
    daemon.file, daemon.endpoint = file, f"ipc://{directory}/second.sock"
    daemon.log = directory / "second.log"
    try:
        return daemon.launch().wait(timeout=30), daemon.log.read_text()
    finally:
        daemon.kill()


@pytest.mark.parametrize("way", WAYS)
class TestBesideADaemon:
    """While a daemon has the file, nobody else gets it."""

    def test_a_second_daemon_is_refused(self, daemon, mounted, way):
        """Exit code 1 and the owner's pid; the first one's keys stay and more are taken."""
        with Client(daemon.endpoint) as store:
            store.create("key1", 1)
            status, said = second(daemon.directory, *another_way(way, daemon.file, mounted))

            assert status == 1
            assert f"is in use by process {daemon.process.pid}" in said
            assert said.count("\n") == 1
            store.create("key2", 2)
        daemon.stop()
        with contextlib.suppress(FileNotFoundError):
            daemon.file.with_name("other.json").unlink()
        assert {"key1": 1, "key2": 2} == contents(daemon.file)

    def test_a_local_store_is_refused(self, daemon, mounted, way):
        """As a daemon is."""
        path, prefix = another_way(way, daemon.file, mounted)
        program = "import sys; from kvd import LocalDataStore; LocalDataStore(sys.argv[1])"
        run = subprocess.run(
            [*prefix, sys.executable, "-c", program, path],
            env=environment(daemon.directory),
            capture_output=True,
            text=True,
            check=False,
        )

        assert f"StoreLockedError: The data file {path.resolve()} is in use by process {daemon.process.pid}" in (
            run.stderr
        )

    def test_repair_is_refused(self, daemon, mounted, way):
        """Exit code 1, and nothing beside the file."""
        path, prefix = another_way(way, daemon.file, mounted)
        run = subprocess.run(
            [*prefix, *KVD, "repair", path],
            env=environment(daemon.directory),
            capture_output=True,
            text=True,
            check=False,
        )

        assert run.returncode == 1
        assert f"in use by process {daemon.process.pid}" in run.stderr
        assert not list(daemon.directory.glob("*.damaged-*"))


@pytest.mark.parametrize("way", WAYS)
def test_a_daemon_is_refused_beside_a_local_store(directory, mounted, way):
    """It names the process that has the file in its own hands."""
    file = directory / "store.json"
    with LocalDataStore(file) as store:
        store.create("key1", 1)
        status, said = second(directory, *another_way(way, file, mounted))

        assert status == 1
        assert f"in use by process {os.getpid()}" in said
        store.create("key2", 2)


@needs_mounts
def test_a_daemon_is_refused_beside_one_that_has_the_file_mounted_elsewhere(directory, mounted):
    """The other way round: the first owner is the one with the mount."""
    file, other = directory / "store.json", directory / "other.json"
    with Opened(file):
        pass
    first = Daemon(directory, prefix=mounted(file, other))
    first.file = other
    first.start()
    try:
        status, said = second(directory, file, ())
    finally:
        first.kill()

    assert status == 1
    assert f"in use by process {first.process.pid}, which has it open as {other}" in said


@needs_mounts
def test_a_mount_of_a_file_that_was_replaced_is_refused(directory, mounted):
    """What a compaction has replaced is seen through a mount still, and must not be taken for the store."""
    file, other = directory / "store.json", directory / "other.json"
    with Opened(file) as store:
        store.create("key1", 1)
    ready, go = directory / "ready", directory / "go"
    os.mkfifo(ready)
    os.mkfifo(go)
    wait = ("sh", "-c", f'echo > "{ready}"; cat "{go}"; exec "$@"', "sh")
    process = subprocess.Popen(
        [*mounted(file, other), *wait, *KVD, "--file", other, "--endpoint", f"ipc://{directory}/store.sock"],
        env=environment(directory),
        stderr=subprocess.PIPE,
        text=True,
    )
    ready.read_text()
    with Opened(file) as store:
        store.compact()
    go.write_text("")
    _, said = process.communicate(timeout=30)

    assert process.returncode == 1
    assert f"The data file {other} was replaced or removed where it comes from" in said


@pytest.mark.parametrize("way", ["removed lock", "hard link", "symbolic link"])
def test_nobody_else_gets_the_file_at_any_step_of_a_compaction(tmp_path, way):
    """The new file is locked before it is in place, and the old one until it is closed."""
    path, other = tmp_path / "store.json", tmp_path / "other.json"
    attempts = 0
    with Opened(path) as store:
        for number in range(200):
            store.create(f"key{number}", number)
        for job in store.store.compact():
            for run in [lambda: None, *([job.run] if job is not None else [])]:
                run()
                with contextlib.suppress(FileNotFoundError):
                    other.unlink()
                taken, _ = another_way(way, path, None)
                for seize in (Opened, LocalDataStore, repair):
                    attempts += 1
                    with pytest.raises(StoreLockedError, match=f"process {os.getpid()}"):
                        seize(taken)
        store.create("afterwards", 1)
    other.unlink(missing_ok=True)

    assert attempts > 10
    assert 201 == len(contents(path))


def test_a_removed_lock_file_is_put_back(daemon):
    """Within a second, naming the owner as before, with a line in the log."""
    lock = daemon.file.with_name("store.json.lock")
    before = lock.read_text()
    lock.unlink()
    wait_until(lambda: lock.exists() and lock.read_text())

    assert f'"pid": {daemon.process.pid}' in before
    assert f'"pid": {daemon.process.pid}' in lock.read_text()
    wait_until(lambda: f"somebody removed {lock}" in daemon.log.read_text())
    assert 0 == daemon.stop()
    assert not lock.exists()


def test_check_names_the_owner_without_a_lock_file(daemon):
    """The kernel tells who has a file locked."""
    with Opened(daemon.directory / "mine.json") as store:
        store.path.with_name("mine.json.lock").unlink()
        run = subprocess.run([*KVD, "check", store.path], capture_output=True, text=True, check=False)

        assert f"Process {os.getpid()} has it open" in run.stdout


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_forked_child_does_not_keep_the_lock(directory, end):
    """When the owner ends, however, the file is free, though a child that it forked lives on."""
    program = """
import os, signal, sys
from kvd import LocalDataStore
store = LocalDataStore(sys.argv[1])
store.create("key1", 1)
signal.signal(signal.SIGTERM, lambda *_: (store.close(), os._exit(0)))
if os.fork() == 0:
    print("forked", flush=True)
    sys.stdin.read()
    os._exit(0)
while True:
    signal.pause()
"""
    file = directory / "store.json"
    owner = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program, file],
        env=environment(directory),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout.readline() == "forked\n"
    owner.send_signal(end)
    owner.wait(timeout=30)

    assert {"key1": 1} == contents(file)
    owner.stdin.close()
    assert owner.stdout.read() == ""  # the child lived until now
    owner.stdout.close()


def test_a_file_with_two_names_is_refused(tmp_path):
    """Only one of them can follow the store through a compaction: both are named, and how to part them."""
    path, other = tmp_path / "store.json", tmp_path / "other.json"
    with Opened(path) as store:
        store.create("key1", 1)
    os.link(path, other)

    with pytest.raises(DataStoreError, match=r"has 2 names \(hard links\).*: other\.json is another.*cp -p"):
        Opened(path)
    assert check(path).sound
    other.unlink()
    assert {"key1": 1} == contents(path)


def test_a_name_that_a_crashed_repair_gave_is_no_obstacle(tmp_path):
    """It had kept the original and not yet replaced it: the next start takes the second name away again."""
    path = tmp_path / "store.json"
    with Opened(path) as store:
        store.create("key1", 1)
    os.link(path, tmp_path / "store.json.damaged-20260101-000000")

    assert {"key1": 1} == contents(path)
    assert ["store.json"] == [found.name for found in tmp_path.iterdir()]


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    """Where the kernel cannot lock, nothing is opened: two owners would not be kept apart."""

    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(DataStoreError, match=r"no locks \(No locks available\)") as caught:
        Opened(tmp_path / "store.json")
    assert not isinstance(caught.value, StoreLockedError)
