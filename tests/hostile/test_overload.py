"""A sender that does not wait for replies, and a disk that is slower than it."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import zmq


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace to slow the disk down")
def test_what_waits_for_the_disk_is_bounded(start_daemon, directory):
    """However much is sent, the daemon holds a bounded part of it, and answers all that it took."""
    (directory / "slow").mkdir()
    daemon = start_daemon("--sync", "always", at=directory / "slow")
    slowed = (
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync",
        "-e",
        "inject=fdatasync:delay_exit=2000000",
    )
    daemon.stop()
    daemon.prefix = slowed
    pid = traced(daemon.start())
    answered = 0
    value = b"x" * 16000
    with zmq.Context() as context, context.socket(zmq.DEALER) as sender:
        sender.setsockopt(zmq.LINGER, 0)
        sender.setsockopt(zmq.SNDHWM, 0)
        sender.connect(daemon.endpoint)
        for number in range(20_000):  # 320 MB
            sender.send_multipart([b"", b'{"op":"create","key":"w%d","value":"%s"}' % (number, value)])
        most, ends = 0, time.monotonic() + 8
        while time.monotonic() < ends:
            most = max(most, resident_bytes(pid))
            while sender.poll(20):
                sender.recv_multipart()
                answered += 1

    os.kill(pid, signal.SIGKILL)

    assert answered > 0
    assert 100_000_000 < most < 190_000_000, "it took too little to be a test, or too much"


def traced(daemon) -> int:
    """Return the pid of the daemon, which is strace's child."""
    return int(Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split()[0])


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
