"""kvctl exists"""

from kvclient.cli.command import Key
from kvclient.cli.options import Options
from kvclient.cli.output import show

_NOT_FOUND = 3


def run(options: Options, key: Key) -> int:
    """Print whether a key exists. Exit code 0 if it does, 3 if it does not.

    Example: kvctl exists key1 || echo "nothing there"
    """
    found = options.client().exists(key)
    show({"exists": found} if options.json else found)
    return 0 if found else _NOT_FOUND
