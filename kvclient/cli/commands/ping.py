"""kvctl ping"""

import sys
import time

from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.screen.console import complain


def run(options: Options) -> None:
    """Check whether the daemon answers, and how fast; warn if it refuses all writes. Starts no daemon.

    Example: kvctl ping && echo running
    """
    client = options.client(autostart=False)
    client.ping()
    started = time.perf_counter()
    refusing = client.ping()
    seconds = time.perf_counter() - started
    if options.json:
        show({"endpoint": client.endpoint, "seconds": seconds, **({"refusing": refusing} if refusing else {})})
    else:
        print(f"{client.endpoint} answers in {seconds * 1000:.2f} ms", file=sys.stderr)
    if refusing:
        complain(f"kvctl: Writes are refused. {refusing}")
