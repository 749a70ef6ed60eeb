"""Other programs and the data file: those that change it while it is open, and those that read it."""

import json
import os
import shutil
import subprocess
import sys
import threading

import pytest

from kvclient import Client, StoreCorruptError
from processes import KVD, Daemon, environment, kvctl, wait_until
from stores import as_others_read, assert_sound, contents


def replace(path):
    path.with_name("new").write_text('{"foreign": {"value": 1}}')
    path.with_name("new").rename(path)


def truncate(path):
    os.truncate(path, 100)


def append(path):
    with path.open("ab") as file:
        file.write(b"\n")


def edit_in_place(path):
    with path.open("r+b") as file:
        file.write(b"{ ")


def save_from_an_editor(path):
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=2))


KEEPS_VALUES = [replace, os.unlink, append, edit_in_place]


@pytest.mark.parametrize("interfere", [replace, os.unlink, truncate, append, edit_in_place, save_from_an_editor])
def test_interference_stops_writing_and_the_content_is_saved(directory, start_daemon, interfere):
    """Whatever another program does to the open file, the next write is refused with a message, reads of what can
    still be read go on, the other program's file is left alone, and the daemon's content lies beside it.
    """
    daemon = start_daemon()
    items = {f"key{number}": {"n": number} for number in range(50)}
    with Client(daemon.endpoint) as client:
        client.batch_create(items)
        interfere(daemon.file)
        foreign = daemon.file.read_bytes() if daemon.file.exists() else None

        with pytest.raises(StoreCorruptError) as caught:
            client.create("later", 1)
        assert str(daemon.file) in str(caught.value)
        if interfere in KEEPS_VALUES:
            assert {"n": 7} == client.read("key7")
        else:
            with pytest.raises(StoreCorruptError):
                client.read("key7")
    assert daemon.stop() == 0

    assert foreign == (daemon.file.read_bytes() if daemon.file.exists() else None)
    (saved,) = directory.glob("store.json.rescued-*")
    assert_sound(saved)
    found = contents(saved)
    assert found == {key: items[key] for key in found}
    assert (found == items) is (interfere in KEEPS_VALUES)


def test_interference_is_noticed_without_a_write(directory, start_daemon):
    """A daemon that nobody writes to notices a removed file all the same, and saves what it holds."""
    daemon = start_daemon()
    with Client(daemon.endpoint) as client:
        client.create("key1", "value1")
    daemon.file.unlink()

    (saved,) = wait_until(lambda: list(directory.glob("store.json.rescued-*")))
    wait_until(lambda: "Put the right file in place" in daemon.log.read_text())
    assert {"key1": "value1"} == as_others_read(saved)
    with Client(daemon.endpoint) as client, pytest.raises(StoreCorruptError, match="Put the right file in place"):
        client.compact()


def test_touch_is_no_interference(start_daemon):
    """A new time stamp, as a backup program may set it, disturbs nothing."""
    daemon = start_daemon()
    with Client(daemon.endpoint) as client:
        client.create("key1", 1)
        os.utime(daemon.file)
        client.create("key2", 2)


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.parametrize(
    "reader",
    [
        ["jq", "-e", 'has("key0")'],
        [sys.executable, "-c", "import json, sys; assert 'key0' in json.load(open(sys.argv[1]))"],
    ],
    ids=["jq", "python"],
)
def test_other_programs_can_read_at_any_moment(start_daemon, reader):
    """While clients write and the file is compacted, whoever reads the file finds one whole JSON object.

    A reader takes no lock. The one in hundreds that comes to a line as it is being copied, or to the end as the file
    grows, reads once more. Up to five of 60 may have to.
    """
    daemon = start_daemon(compact_min_bytes="50000", compact_share="0.2")
    ended = threading.Event()

    def write(name):
        with Client(daemon.endpoint) as client:
            number = 0
            while not ended.is_set():
                client.batch_create({f"{name}{number}.{part}": "x" * 50 * part for part in range(10)})
                for part in range(10):
                    client.delete(f"{name}{number}.{part}")
                number += 1

    with Client(daemon.endpoint) as client:
        client.create("key0", "value0")
    writers = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for writer in writers:
        writer.start()
    try:
        failures = []
        for _ in range(60):
            for _ in range(3):
                result = subprocess.run([*reader, daemon.file], capture_output=True, text=True, check=False)
                if result.returncode == 0:
                    break
                failures.append(result.stderr)
            assert result.returncode == 0, failures
        assert len(failures) < 6, failures
        checks = [daemon.check() for _ in range(3)]
    finally:
        ended.set()
        for writer in writers:
            writer.join()
    assert [0] * 3 == [check.returncode for check in checks], checks
    assert all(f"Process {daemon.process.pid} has it open" in check.stdout for check in checks)


def as_nobody(directory, *command):
    """Run a command as a user who may do nothing in `directory`, but can read this program wherever it lies."""
    reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *reading, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(directory),
    )


def make_directory(path):
    path.mkdir()


def make_fifo(path):
    os.mkfifo(path)


def make_circle(path):
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


def make_list(path):
    path.write_text("[1, 2]")


def make_garbage(path):
    path.write_bytes(bytes(range(256)))


@pytest.mark.parametrize("make", [make_directory, make_fifo, make_circle, make_list, make_garbage])
def test_what_is_no_data_file_is_refused_and_left_alone(directory, make):
    """A daemon on a path that holds something else ends at once with one line that names it."""
    daemon = Daemon(directory)
    make(daemon.file)
    before = daemon.file.lstat()
    process = daemon.launch()

    assert process.wait(30) == 1
    (line,) = daemon.log.read_text().splitlines()
    assert str(daemon.file) in line
    assert (before.st_mode, before.st_size, before.st_mtime) == (
        daemon.file.lstat().st_mode,
        daemon.file.lstat().st_size,
        daemon.file.lstat().st_mtime,
    )
    assert not list(directory.glob("*.lock"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("exists", [True, False])
def test_a_directory_that_is_not_writable_is_named(directory, exists):
    """Where no file can be created, or none beside the data file, the daemon says so in one line and ends."""
    place = directory / "place"
    place.mkdir()
    file = place / "store.json"
    if exists:
        contents(file)
        file.chmod(0o666)
    directory.chmod(0o755)
    place.chmod(0o555)

    result = as_nobody(directory, *KVD, "--file", str(file), "--endpoint", f"ipc://{directory}/run/x.sock")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert 1 == len(result.stderr.splitlines())
    assert "Permission denied" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_refused(directory):
    """The next compaction would take it away from its owner, so it is not even opened; checking it is allowed."""
    daemon = Daemon(directory)
    contents(daemon.file)
    os.chown(daemon.file, 65534, 65534)

    assert daemon.launch().wait(30) == 1
    assert "belongs to user 65534" in daemon.log.read_text()
    assert daemon.check().returncode == 0


def test_kvctl_says_what_happened_to_the_file(directory, start_daemon):
    """A person who writes to a store whose file was replaced is told which file, and what to do."""
    daemon = start_daemon()
    replace(daemon.file)
    result = kvctl("create", "key1", "1", "--endpoint", daemon.endpoint, directory=directory)

    assert result.returncode == 1
    assert "was replaced by another file" in result.stderr
    assert "restart the daemon" in result.stderr
