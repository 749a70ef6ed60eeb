"""kvctl top"""

import os
import sys
from importlib.util import find_spec

from kvclient.cli.options import Options
from kvclient.contract.errors import DataStoreError
from kvclient.screen.usage import UsageError


def run(options: Options) -> None:
    """Watch a store live: rates, latencies, clients and recent events; browse keys and values. Press / to filter keys
    and q to quit. Starts no daemon.

    Needs the package textual: pip install 'kvd-store[top]'

    Example: kvctl top
    """
    if options.json or sys.stdin is None or not (sys.stdin.isatty() and sys.stdout is not None and sys.stdout.isatty()):
        raise UsageError("top needs a terminal. For a program, there is 'kvctl stats --json'.")
    if os.environ.get("TERM", "dumb") == "dumb":
        raise UsageError("top needs a terminal on which a cursor can be moved, and TERM is dumb. Try 'kvctl stats'.")
    if find_spec("textual") is None:
        raise DataStoreError(
            "kvctl top needs the package textual, which is not installed: pip install 'kvd-store[top]'. "
            "'kvctl stats' shows the same counters once."
        )
    client = options.client(autostart=False)
    client.ping()
    from kvclient.cli.top.app import Top

    Top(client).run()
