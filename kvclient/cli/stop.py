"""kvctl stop"""

import sys
import time

from kvclient.autostart import listening
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.endpoint import socket_path
from kvclient.errors import RequestTimeoutError

_POLL_SECONDS = 0.02


def run(options: Options) -> None:
    """Stop the daemon, and return when it is gone."""
    client = options.client(autostart=False)
    pid = client.status()["pid"]
    client.stop()
    client.close()
    path = socket_path(client.endpoint)
    deadline = time.monotonic() + options.timeout
    while path is not None and listening(path):
        if time.monotonic() > deadline:
            raise RequestTimeoutError(f"The daemon (pid {pid}) was asked to stop and is still finishing its work.")
        time.sleep(_POLL_SECONDS)
    if options.json:
        show({"stopped": pid})
    else:
        print(f"stopped the daemon (pid {pid})", file=sys.stderr)
