"""What batch means."""

from collections.abc import Callable, Generator
from typing import Any

from kvclient.contract.errors import BatchTooLargeError, DataStoreError
from kvclient.contract.operations.batch import Batch
from kvd.backend.file.store.operations.create import create
from kvd.backend.file.store.operations.delete import delete, pop
from kvd.backend.file.store.operations.expire import expire
from kvd.backend.file.store.operations.increment import increment
from kvd.backend.file.store.operations.put import put, update
from kvd.backend.file.store.replies import array
from kvd.backend.file.store.view import View

MEMBERS: dict[str, Callable[[View, Any], bytes]] = {
    "create": create,
    "put": put,
    "update": update,
    "delete": delete,
    "increment": increment,
    "pop": pop,
    "expire": expire,
}


LONG = 256
"""Members from which on a batch is carried out in steps of so many: two milliseconds' work."""


def batch(view: View, request: Batch) -> bytes:
    """Carry out one operation after the other, each at a revision of its own. Refused with the first that is."""
    steps = batch_in_steps(view, request)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        fields: bytes = end.value
        return fields


def batch_in_steps(view: View, request: Batch) -> Generator[None, None, bytes]:
    """Do as `batch`, in short steps. Meanwhile others may read, and nobody may change anything."""
    results: list[bytes] = []
    size = 0
    for index, member in enumerate(request.operations):
        if index and index % LONG == 0:
            yield
        try:
            fields = MEMBERS[member.op](view, member)
        except DataStoreError as error:
            error.index = index
            raise
        size += len(fields)
        if size > view.limits.max_request_bytes:
            raise BatchTooLargeError(
                f"The results of the batch have more than {view.limits.max_request_bytes} bytes from operation {index} "
                "on, the limit (setting max_request_bytes). Send it in several.",
                index=index,
            )
        results.append(b'{"revision":%d%s%s}' % (view.revision, b"," if fields else b"", fields))
    return b'"results":%s' % array(results)
