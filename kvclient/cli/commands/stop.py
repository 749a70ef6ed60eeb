"""kvctl stop"""

import os
import select
import sys

from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.client.blocking import Client
from kvclient.contract.endpoint import socket_path
from kvclient.contract.errors import RequestTimeoutError

_MOST_MILLISECONDS = 2**31 - 1
"""Of poll(2)."""


def run(options: Options) -> None:
    """Stop the daemon after it has answered pending requests. The next kvctl create or read starts it again.

    Example: kvctl stop
    """
    pid = end_daemon(options.client(autostart=False), options.timeout)
    if options.json:
        show({"stopped": pid})
    else:
        print(f"stopped the daemon (pid {pid})", file=sys.stderr)


def end_daemon(client: Client, seconds: float) -> int:
    """Stop the daemon, wait until it has ended, and return its pid.

    Raises `RequestTimeoutError` if it has not after so many seconds.
    """
    pid: int = client.status()["pid"]
    # Not by looking whether somebody listens: where systemd does, a look would start the daemon again.
    process = _open(pid) if socket_path(client.endpoint) is not None else None
    client.stop()
    client.close()
    if process is not None and not _has_ended(process, seconds):
        raise RequestTimeoutError(f"The daemon (pid {pid}) was asked to stop and is still finishing its work.")
    return pid


def _open(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:  # it has ended, or lives where its pid means nothing here
        return None


def _has_ended(process: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(min(seconds * 1000, _MOST_MILLISECONDS)))
