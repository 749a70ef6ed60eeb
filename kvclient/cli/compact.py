"""kvctl compact"""

import sys

from kvclient.cli.options import Options
from kvclient.cli.output import show


def run(options: Options) -> None:
    """Start a compaction of the data file."""
    options.client().compact()
    if options.json:
        show({"compacting": True})
    else:
        print("compaction started; 'kvctl status' shows the size", file=sys.stderr)
