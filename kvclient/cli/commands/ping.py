"""kvctl ping"""

import sys
import time
from typing import Annotated

import typer

from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.metrics.readiness import unready
from kvclient.screen.console import complain


def run(
    options: Options,
    ready: Annotated[
        bool, typer.Option("--ready", help="Exit with 1 and the reason if a value would be refused.")
    ] = False,
) -> int:
    """Check whether the daemon answers, and how fast; warn if it refuses all writes. Starts no daemon.

    With --ready, exit code 0 means that a small value would be stored now, and 1 that it would not: another program
    changed the data file, or the file is full. Only the daemon's owner may ask that; for others it is 1 as well.

    Example: kvctl ping --ready && echo ready
    """
    client = options.client(autostart=False)
    client.ping()
    started = time.perf_counter()
    refusing = client.ping()
    seconds = time.perf_counter() - started
    reason = unready(client.status()) if ready else refusing and f"Writes are refused. {refusing}"
    if options.json:
        told = {"endpoint": client.endpoint, "seconds": seconds, **({"refusing": refusing} if refusing else {})}
        show({**told, **({"ready": reason is None} if ready else {})})
    else:
        print(f"{client.endpoint} answers in {seconds * 1000:.2f} ms", file=sys.stderr)
    if reason:
        complain(f"kvctl: {reason}")
    return int(ready and reason is not None)
