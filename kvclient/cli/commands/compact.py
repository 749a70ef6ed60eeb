"""kvctl compact"""

import sys

from kvclient.cli.options import Options
from kvclient.cli.output import show


def run(options: Options) -> None:
    """Free the space of deleted and expired keys now. The daemon also does this on its own.

    Example: kvctl compact
    """
    options.client().compact()
    if options.json:
        show({"compacting": True})
    else:
        print("compaction started; 'kvctl status' shows the size", file=sys.stderr)
