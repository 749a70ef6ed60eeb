"""Everything that can be asked of a store, each operation in a file of its own.

This is the wire's one definition: one request and one reply, each a single frame of UTF-8 JSON. The daemon takes its
parser and its dispatch from it, `kvd schema` its schema, and the tests hold the clients' encoders against it: those do
without pydantic, whose import would double the time that a short script needs.
"""

from typing import Annotated, Any, Union, get_args

from pydantic import Field, TypeAdapter

from kvclient.contract.operations.batch import Batch
from kvclient.contract.operations.batch_create import BatchCreate
from kvclient.contract.operations.clear import Clear
from kvclient.contract.operations.compact import Compact
from kvclient.contract.operations.count import Count
from kvclient.contract.operations.create import Create
from kvclient.contract.operations.declaration import Refusal, Reply, Request
from kvclient.contract.operations.delete import Delete
from kvclient.contract.operations.delete_many import DeleteMany
from kvclient.contract.operations.exists import Exists
from kvclient.contract.operations.expire import Expire
from kvclient.contract.operations.increment import Increment
from kvclient.contract.operations.list import List
from kvclient.contract.operations.ping import Ping
from kvclient.contract.operations.pop import Pop
from kvclient.contract.operations.put import Put
from kvclient.contract.operations.read import Read
from kvclient.contract.operations.read_many import ReadMany
from kvclient.contract.operations.stats import Stats
from kvclient.contract.operations.status import Status
from kvclient.contract.operations.stop import Stop
from kvclient.contract.operations.update import Update
from kvclient.contract.operations.watch import Watch

AnyRequest = (
    Create
    | Read
    | Put
    | Update
    | Delete
    | Pop
    | Increment
    | Exists
    | Count
    | List
    | ReadMany
    | DeleteMany
    | BatchCreate
    | Batch
    | Expire
    | Clear
    | Watch
    | Stats
    | Status
    | Ping
    | Compact
    | Stop
)
"""An operation that is not among these is unknown to the wire, the daemon and the documents."""

OPERATIONS: dict[str, type[Request]] = {
    get_args(model.model_fields["op"].annotation)[0]: model for model in get_args(AnyRequest)
}
"""Every operation by its name on the wire."""

requests: TypeAdapter[AnyRequest] = TypeAdapter(Annotated[AnyRequest, Field(discriminator="op")])
_replies: Any = Union[tuple(dict.fromkeys([*(model.reply for model in OPERATIONS.values()), Refusal]))]  # noqa: UP007
replies: TypeAdapter[Any] = TypeAdapter(_replies)

__all__ = ["OPERATIONS", "AnyRequest", "Refusal", "Reply", "Request", "replies", "requests"]
