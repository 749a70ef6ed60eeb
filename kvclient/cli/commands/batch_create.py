"""kvctl batch-create"""

from typing import Annotated

import typer

from kvclient.cli import json_input
from kvclient.cli.command import Ttl
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.contract.errors import InvalidValueError


def run(
    options: Options,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A JSON object of keys and values; - reads standard input.")
    ],
    ttl: Ttl = None,
) -> None:
    """Create several keys atomically: all of them, or none if one exists or is invalid.

    Example: echo '{"key2": 1, "key3": [2]}' | kvctl batch-create - --ttl 10
    """
    name = "Standard input" if file == "-" else file
    items = json_input.parse(json_input.read(file), name)
    if not isinstance(items, dict):
        raise InvalidValueError(f'{name} is not a JSON object of keys and values, such as {{"key1": 1, "key2": [2]}}.')
    revision = options.client().batch_create(items, ttl)
    if options.json:
        show({"created": len(items), "revision": revision})
