"""kvctl ping"""

import sys
import time

from kvclient.cli.options import Options
from kvclient.cli.output import show


def run(options: Options) -> None:
    """Tell whether a daemon answers, and how fast. Starts none.

    Example: kvctl ping && echo running
    """
    client = options.client(autostart=False)
    client.ping()
    started = time.perf_counter()
    client.ping()
    seconds = time.perf_counter() - started
    if options.json:
        show({"endpoint": client.endpoint, "seconds": seconds})
    else:
        print(f"{client.endpoint} answers in {seconds * 1000:.2f} ms", file=sys.stderr)
