"""kvctl batch-create"""

from kvclient.cli import json_input
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.contract.errors import InvalidValueError


def run(options: Options, source: str, ttl: float | None) -> None:
    """Create all keys of a JSON object, or none. Prints nothing, or with --json their number and the revision."""
    name = "Standard input" if source == "-" else source
    items = json_input.parse(json_input.read(source), name)
    if not isinstance(items, dict):
        raise InvalidValueError(f'{name} is not a JSON object of keys and values, such as {{"key1": 1, "key2": [2]}}.')
    revision = options.client().batch_create(items, ttl)
    if options.json:
        show({"created": len(items), "revision": revision})
