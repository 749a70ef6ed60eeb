"""kvctl read"""

from kvclient.cli.options import Options
from kvclient.cli.output import show


def run(options: Options, key: str) -> None:
    """Print a key's value; with --json its revision and expiry too."""
    client = options.client()
    show(client.read_entry(key) if options.json else client.read(key))
