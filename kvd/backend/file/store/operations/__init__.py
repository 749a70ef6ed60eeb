"""What each operation means: a function of a view of the keys and the request."""

from collections.abc import Callable, Generator
from typing import Any

from kvclient.contract.operations import OPERATIONS
from kvd.backend.file.store.operations.batch import LONG, batch, batch_in_steps
from kvd.backend.file.store.operations.batch_create import batch_create
from kvd.backend.file.store.operations.clear import clear
from kvd.backend.file.store.operations.count import count
from kvd.backend.file.store.operations.create import create
from kvd.backend.file.store.operations.delete import delete, pop
from kvd.backend.file.store.operations.delete_many import delete_many
from kvd.backend.file.store.operations.expire import expire
from kvd.backend.file.store.operations.increment import increment
from kvd.backend.file.store.operations.list import list_page
from kvd.backend.file.store.operations.put import put, update
from kvd.backend.file.store.operations.read import exists, read
from kvd.backend.file.store.operations.read_many import read_many
from kvd.backend.file.store.operations.upkeep import forget, release, sweep, write_down
from kvd.backend.file.store.replies import Answer
from kvd.backend.file.store.view import View

Meaning = Callable[[View, Any], bytes]
CHANGES: dict[str, Meaning] = {
    "create": create,
    "put": put,
    "update": update,
    "delete": delete,
    "pop": pop,
    "increment": increment,
    "delete_many": delete_many,
    "batch_create": batch_create,
    "batch": batch,
    "expire": expire,
    "clear": clear,
    "sweep": sweep,
    "release": release,
    "write_down": write_down,
    "forget": forget,
}
"""They return what the reply says besides the revision, as JSON fields."""


def is_long(request: Any) -> bool:
    """Tell whether a change of `IN_STEPS` has so many members that it is to be carried out in steps."""
    return len(getattr(request, OPERATIONS[request.op].concerns)) > LONG


IN_STEPS: dict[str, Callable[[View, Any], Generator[None, None, bytes]]] = {"batch": batch_in_steps}
"""The changes that would keep others waiting for long, as generators of short steps that return what `CHANGES` do."""
READS: dict[str, Callable[..., Answer]] = {
    "read": read,
    "exists": exists,
    "count": count,
    "list": list_page,
    "read_many": read_many,
}
FREES = {op for op, model in OPERATIONS.items() if model.frees} | {"sweep", "release", "write_down", "forget"}
"""What may use the part of a full file that is kept for removals."""

_handled = {*CHANGES, *READS, "watch"}  # kvd.watch handles that one
if missing := [op for op, model in OPERATIONS.items() if model.does != "control" and op not in _handled]:
    raise AssertionError(f"The store does not say what these operations mean: {', '.join(missing)}.")
