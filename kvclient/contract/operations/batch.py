"""batch: different operations in one step."""

from typing import Annotated, Any, Literal

from pydantic import Field

from kvclient.contract.operations.create import Create
from kvclient.contract.operations.declaration import Reply, Request, Revision
from kvclient.contract.operations.delete import Delete
from kvclient.contract.operations.expire import Expire
from kvclient.contract.operations.increment import Increment
from kvclient.contract.operations.pop import Pop
from kvclient.contract.operations.put import Put
from kvclient.contract.operations.update import Update

Member = Create | Put | Update | Delete | Increment | Pop | Expire


class BatchReply(Reply):
    """The reply to batch."""

    results: Annotated[
        list[dict[str, Any]],
        Field(description="For each operation, what its own reply would say, `ok` aside, in the same order."),
    ]
    revision: Revision


class Batch(Request):
    """Carry out all `operations` or none. Atomic; each sees what those before it did.

    The first that is refused refuses all: the reply is its error, with its `index`.
    """

    does = "change"
    needs = ("read", "write")
    concerns = "operations"
    reply = BatchReply

    op: Literal["batch"]
    operations: list[Annotated[Member, Field(discriminator="op")]]
