"""kvctl top"""

import sys
from importlib.util import find_spec

from kvclient.cli.options import Options
from kvclient.contract.errors import DataStoreError
from kvclient.screen.usage import UsageError


def run(options: Options) -> None:
    """Watch a store live: rates and latencies, clients, the last events; browse its keys and look into them. Quits with
    q, filters keys with /. Starts no daemon.

    Needs the package textual: pip install 'kvd-store[top]'

    Example: kvctl top
    """
    if options.json or sys.stdin is None or not (sys.stdin.isatty() and sys.stdout is not None and sys.stdout.isatty()):
        raise UsageError("top is drawn on a terminal; for a program there is 'kvctl stats --json'.")
    if find_spec("textual") is None:
        raise DataStoreError(
            "kvctl top needs the package textual, which is not installed: pip install 'kvd-store[top]'. "
            "'kvctl stats' shows the same counters once."
        )
    client = options.client(autostart=False)
    client.ping()
    from kvclient.cli.top.app import Top

    Top(client).run()
