"""kvctl batch"""

from typing import Annotated, Any

import typer

from kvclient.cli import json_input
from kvclient.cli.options import Options
from kvclient.cli.output import exit_code, report, show
from kvclient.cli.printing import compact_json, show_line
from kvclient.contract.errors import DataStoreError, RequestError

_INVALID = 2


def run(
    options: Options,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A JSON array of operations, or one per line; - reads standard input."),
    ],
) -> int:
    """Carry out several operations atomically: all of them, or none if one is refused. Prints one result per line.

    An operation is an object with "op" (create, put, update, delete, increment, pop or expire) and the fields it needs.

    Example: echo '[{"op": "pop", "key": "job:1"}, {"op": "increment", "key": "done"}]' | kvctl batch -
    """
    operations, places = _operations(json_input.read(file), "standard input" if file == "-" else file)
    try:
        results = options.client().batch(operations)
    except DataStoreError as error:
        if error.index is None:
            raise
        reason = error.message.removeprefix(f"Operation {error.index} of the batch: ")
        report(type(error)(f"{places[error.index]}: {reason}", error.keys))
        return _INVALID if isinstance(error, RequestError) else exit_code(error)
    if options.json:
        show({"results": results})
    else:
        for result in results:
            show_line(compact_json(result))
    return 0


def _operations(text: str, name: str) -> tuple[list[Any], list[str]]:
    """Return the operations of an array, or of JSON Lines, and where each stands, for messages.

    Raises `InvalidValueError` that names the line.
    """
    if text.lstrip()[:1] == "[":
        operations: list[Any] = json_input.parse(text, f"The array in {name}")
        return operations, [f"Operation {index} of the batch" for index in range(len(operations))]
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    places = [f"Line {number} of {name}" for number, _ in lines]
    return [json_input.parse(line, place) for place, (_, line) in zip(places, lines, strict=True)], places
