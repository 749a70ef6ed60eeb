"""A sender that does not wait for replies, and a disk that is slower than it."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest
import zmq

from processes import resident

# 320 MB of batches of a megabyte each: twice what the daemon may have in memory.
_SENDERS, _REQUESTS = 32, 10
_MEGABYTE = 1 << 20


@pytest.mark.native("libzmq keeps some requests of each peer besides")
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
        "inject=fdatasync:delay_exit=500000",
    )
    daemon.stop()
    daemon.prefix = slowed
    pid = traced(daemon.start())
    answered = 0
    with zmq.Context() as context, contextlib.ExitStack() as stack:
        senders = [stack.enter_context(context.socket(zmq.DEALER)) for _ in range(_SENDERS)]
        replies = zmq.Poller()
        for sender in senders:
            replies.register(sender, zmq.POLLIN)
            sender.setsockopt(zmq.LINGER, 0)
            sender.setsockopt(zmq.SNDHWM, 0)
            sender.connect(daemon.endpoint)
        for number in range(_REQUESTS):
            for name, sender in enumerate(senders):
                sender.send_multipart([b"", megabyte(name, number)])
        most = 0
        while answered < 2 * _SENDERS:
            most = max(most, resident(pid))
            for sender, _ in replies.poll(20):
                sender.recv_multipart()
                answered += 1

    os.kill(pid, signal.SIGKILL)

    assert 60_000_000 < most < 60_000_000 + 4 * _SENDERS * _MEGABYTE, "it took too little to be a test, or too much"


def megabyte(sender: int, number: int) -> bytes:
    """Return a request of about a megabyte."""
    items = b",".join(b'"%d.%d.%d":"%s"' % (sender, number, key, b"x" * 16_000) for key in range(64))
    return b'{"op":"batch_create","items":{%s}}' % items


def traced(daemon) -> int:
    """Return the pid of the daemon, which is strace's child."""
    return int(Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split()[0])
