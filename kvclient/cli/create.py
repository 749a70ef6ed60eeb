"""kvctl create"""

from kvclient.cli import json_input
from kvclient.cli.options import Options
from kvclient.cli.output import show


def run(options: Options, key: str, value: str, ttl: float | None) -> None:
    """Create a key. Prints nothing, or with --json the revision."""
    text = json_input.read("-") if value == "-" else value
    revision = options.client().create(key, json_input.parse(text, "VALUE"), ttl)
    if options.json:
        show({"revision": revision})
