"""The command `kvd-exporter`: a process that Prometheus asks over HTTP, and that asks the daemons then.

`collector` makes metrics of what they say, `serving` is the HTTP server. Both need prometheus-client, which nothing
else of kvd does.
"""

from kvclient.contract.errors import DataStoreError
from kvclient.screen.console import complain, prepare, reporting


def main() -> None:
    """Run the command line and exit; errors are one line on standard error."""
    prepare()
    with reporting(_report):
        from kvclient.exporter.app import app
        from kvclient.screen import usage

        usage.run(app, "kvd-exporter")


def _report(error: DataStoreError) -> int:
    complain(f"kvd-exporter: {' '.join(error.message.split())}")
    return 1
