"""kvctl batch"""

from typing import Annotated, Any

import typer

from kvclient.cli import json_input
from kvclient.cli.options import Options
from kvclient.cli.output import exit_code, report, show
from kvclient.cli.printing import compact_json, show_line
from kvclient.contract.errors import RequestError

_INVALID = 2


def run(
    options: Options,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A JSON array of operations, or an operation a line; - is standard input."),
    ],
) -> int:
    """Carry out several operations in one step: all of them, or none if one is refused. Prints the results, one a line.

    An operation is an object with "op" (create, put, update, delete, increment, pop or expire) and what that needs.

    Example: echo '[{"op": "pop", "key": "job:1"}, {"op": "increment", "key": "done"}]' | kvctl batch -
    """
    operations = _operations(json_input.read(file), "standard input" if file == "-" else file)
    try:
        results = options.client().batch(operations)
    except RequestError as error:
        report(error)
        return _INVALID if error.index is not None else exit_code(error)
    if options.json:
        show({"results": results})
    else:
        for result in results:
            show_line(compact_json(result))
    return 0


def _operations(text: str, name: str) -> list[Any]:
    """Return the operations of an array, or of JSON Lines. Raises `InvalidValueError` that names the line."""
    if text.lstrip()[:1] == "[":
        operations: list[Any] = json_input.parse(text, f"The array in {name}")
        return operations
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    return [json_input.parse(line, f"Line {number} of {name}") for number, line in lines]
