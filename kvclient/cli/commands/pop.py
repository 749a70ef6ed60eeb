"""kvctl pop"""

from kvclient.cli.command import IfRevision, Key
from kvclient.cli.options import Options
from kvclient.cli.output import show


def run(options: Options, key: Key, if_revision: IfRevision = None) -> None:
    """Delete a key and print its value, atomically: if several try at once, one gets it.

    Example: kvctl pop job:1
    """
    value = options.client().pop(key, if_revision=if_revision)
    show({"value": value} if options.json else value)
