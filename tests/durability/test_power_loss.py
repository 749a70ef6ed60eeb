"""Power loss under load: an ext4 file system that stops from one moment to the next, and is mounted again.

EXT4_IOC_SHUTDOWN without a flush of the journal leaves on the device what had been forced there, and nothing that was
in the kernel's memory only. A process that is killed leaves more, which is why this is another test.
"""

import fcntl
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from writer import assert_nothing_is_lost, end, read_journal

from kvd.backend.file.engine.check import check
from processes import Daemon, environment, wait_until
from stores import assert_sound, contents

WRITER = Path(__file__).with_name("writer.py")
EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_LOG_FLUSH = struct.pack("I", 2)


class Disk:
    """A file system in an image."""

    def __init__(self, directory):
        self.image = directory / "image"
        self.place = directory / "disk"
        self.place.mkdir()
        with self.image.open("wb") as file:
            file.truncate(64 << 20)

    def mount(self):
        return subprocess.run(["mount", "-o", "loop", self.image, self.place], capture_output=True, check=False)

    def unmount(self):
        """Unmount, and wait until nobody else's copy of the mount keeps the stopped file system alive."""
        subprocess.run(["umount", self.place], check=True)
        wait_until(lambda: not subprocess.check_output(["losetup", "-j", self.image]))

    def cut_power(self):
        fd = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, WITHOUT_LOG_FLUSH)
        finally:
            os.close(fd)


@pytest.fixture
def disk(directory):
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("takes root and mkfs.ext4")
    disk = Disk(directory)
    subprocess.run(["mkfs.ext4", "-q", "-F", disk.image], check=True)
    mounted = disk.mount()
    if mounted.returncode != 0:
        pytest.skip(f"no image can be mounted: {mounted.stderr.decode().strip()}")
    yield disk
    disk.unmount()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("sync", ["always", "never"])
def test_power_loss_loses_nothing_acknowledged(directory, disk, sync, long):
    """With sync=always all that was acknowledged is there after a power loss. With sync=never some of the last may be
    gone, but what is there is right and whole.
    """
    journals = []
    sizes = []
    for number in range(60 if long else 2):
        place = directory / f"round{number}"
        place.mkdir()
        daemon = Daemon(place, sync=sync, compact_min_bytes="100000", compact_share="0.2")
        daemon.file = disk.place / "store.json"
        daemon.start()
        journal = place / "journal"
        writers = [
            subprocess.Popen(
                [
                    sys.executable,
                    WRITER,
                    daemon.endpoint,
                    f"r{number}w{name}",
                    str(random.random())[2:9],
                    f"{journal}{name}",
                ],
                env=environment(place),
            )
            for name in "ab"
        ]
        ours = [place / f"journal{name}" for name in "ab"]
        wait_until(lambda: all(one.exists() and one.stat().st_size > 10_000 for one in ours))  # noqa: B023
        subprocess.run(["sync", "-f", disk.place], check=True)  # else sync=never has nothing to come back to
        wait_until(lambda: all(one.stat().st_size > 20_000 for one in ours))  # noqa: B023
        time.sleep(random.random() * 0.1)  # the moment, which nothing waits for
        disk.cut_power()
        daemon.kill()
        end(writers)
        disk.unmount()
        assert disk.mount().returncode == 0

        report = check(daemon.file)
        sizes.append(report.size)
        assert all(gap.damage.torn for gap in report.gaps)
        found = contents(daemon.file)
        assert_sound(daemon.file)
        journals += [read_journal(one) for one in ours]
        for told in journals if sync == "always" else ():
            assert_nothing_is_lost(told, found)
        for told in journals:
            known = told.there | (told.pending[1] if told.pending and told.pending[0] != "delete" else {})
            assert all(found[key] == known[key] for key in found.keys() & known.keys())
            for keys in told.batches:
                assert len(found.keys() & keys) in {0, len(keys)}, "half a batch"
    assert max(sizes) > 10_000
