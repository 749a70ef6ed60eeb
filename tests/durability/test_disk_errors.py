"""A disk that fails under a running daemon: full, or with errors."""

import json
import os
import shutil
import subprocess

import pytest

from kvclient import Client, DataStoreError, StoreFullError
from processes import Daemon, wait_until
from stores import assert_sound, contents

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def tracing(directory, *faults):
    """Return the command that a daemon is started with to have system calls fail."""
    calls = ",".join(fault.split(":")[0] for fault in faults)
    inject = [option for fault in faults for option in ("-e", f"inject={fault}")]
    return ("strace", "-D", "-f", "-qq", "-o", str(directory / "calls"), "-e", f"trace={calls}", *inject)


def create_all(client, acknowledged):
    """Create keys until one is refused."""
    for number in range(100_000):
        client.create(f"key{number}", number)
        acknowledged[f"key{number}"] = number


@needs_strace
@pytest.mark.parametrize("sync", ["always", "interval"])
def test_failed_fdatasync_ends_the_daemon_and_is_not_tried_again(directory, sync):
    """After EIO from fdatasync the write is refused, the daemon exits non-zero, and what was acknowledged is there."""
    # Two come with the creation of the file, and one with the daemon's start.
    daemon = Daemon(directory, prefix=tracing(directory, "fdatasync:error=EIO:when=6+"), sync=sync).start()
    acknowledged = {}
    with Client(daemon.endpoint, timeout=3) as client:
        with pytest.raises(DataStoreError) as caught:
            create_all(client, acknowledged)
        assert sync != "always" or "Input/output error" in str(caught.value)
    assert daemon.process.wait(30) == 1

    assert "Input/output error" in daemon.log.read_text()
    assert (directory / "calls").read_text().count("INJECTED") == 1
    if sync == "always":
        found = contents(daemon.file)
        assert acknowledged == {key: found[key] for key in acknowledged}
        assert len(found) <= len(acknowledged) + 1
    assert_sound(daemon.file)


@pytest.fixture
def small_disk(directory):
    """A file system of 1 MiB in memory, as the directory of a data file."""
    disk = directory / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("sync", ["always", "never"])
def test_full_disk_refuses_writes_until_there_is_room(small_disk, start_daemon, sync):
    """On a disk filled to the brim, writes raise StoreFullError and change nothing, reads go on, and writing resumes
    when there is room.
    """
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(300_000))
    daemon = start_daemon("--file", str(small_disk / "store.json"), sync=sync)
    daemon.file = small_disk / "store.json"
    acknowledged = {}
    refused = []
    with Client(daemon.endpoint) as client:
        number = 0
        for size in (3000, 700, 40, 1, 3000, 1):
            for _ in range(2000):
                number += 1
                items = {f"{number}": "x" * size} if number % 3 else {f"{number}.{n}": "x" * size for n in range(3)}
                try:
                    client.batch_create(items)
                except StoreFullError:
                    refused.append(items)
                    break
                acknowledged |= items
            assert json.loads(daemon.file.read_bytes())
        assert len(refused) == 6
        assert "x" * 3000 == client.read("1")
        assert 0 == os.statvfs(small_disk).f_bfree

        ballast.unlink()
        for items in refused:
            client.batch_create(items)
            acknowledged |= items
        client.compact()
        wait_until(lambda: not client.status()["compacting"])
    assert daemon.stop() == 0

    assert_sound(daemon.file)
    assert acknowledged == contents(daemon.file)


@needs_strace
@pytest.mark.parametrize("fault", ["pwrite64:error=ENOSPC:when=3+", "pwrite64:error=EDQUOT:when=4"])
def test_write_that_the_disk_refuses_changes_nothing(directory, fault):
    """When a commit cannot be written, clients get StoreFullError and the file stays as it was."""
    Daemon(directory).start().stop()
    daemon = Daemon(directory, prefix=tracing(directory, fault)).start()
    told = {}
    with Client(daemon.endpoint, timeout=3) as client:
        for number in range(4):
            try:
                client.create(f"key{number}", number)
                told[f"key{number}"] = True
            except DataStoreError:
                told[f"key{number}"] = False
    daemon.stop()

    assert False in told.values()
    assert told == {key: key in contents(daemon.file) for key in told}
    assert_sound(daemon.file)


def test_file_never_passes_its_limit(start_daemon):
    """The data file has at most max_file_bytes at any moment; a full store still deletes, and has room again then."""
    most = 100_000
    daemon = start_daemon(max_file_bytes=str(most), compact_min_bytes="10000")
    largest = 0
    with Client(daemon.endpoint) as client:
        there = []

        def fill(cycle):
            nonlocal largest
            for number in range(100_000):
                client.create(f"{cycle}-{number}", "x" * (number % 2000))
                there.append(f"{cycle}-{number}")
                largest = max(largest, daemon.file.stat().st_size)

        for cycle in range(3):
            with pytest.raises(StoreFullError):
                fill(cycle)
            for key in there[::2]:
                client.delete(key)
                largest = max(largest, daemon.file.stat().st_size)
            there = there[1::2]
    daemon.kill()

    assert most // 2 < largest <= most
    assert set(there) == contents(daemon.file).keys()
    assert_sound(daemon.file)
