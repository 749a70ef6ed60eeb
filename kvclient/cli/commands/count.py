"""kvctl count"""

from kvclient.cli.command import Prefix
from kvclient.cli.options import Options
from kvclient.cli.output import show


def run(options: Options, prefix: Prefix = "") -> None:
    """Print the number of keys.

    Example: kvctl count job:
    """
    found = options.client().count(prefix)
    show({"count": found} if options.json else found)
