"""kvctl compact"""

import sys

from kvclient.cli.options import Options
from kvclient.cli.output import show


def run(options: Options) -> None:
    """Free the space of deleted and expired keys now. Happens by itself when it is worth it.

    Example: kvctl compact
    """
    options.client().compact()
    if options.json:
        show({"compacting": True})
    else:
        print("compaction started; 'kvctl status' shows the size", file=sys.stderr)
