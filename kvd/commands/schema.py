"""kvd schema"""

import json

from pydantic import TypeAdapter

from kvclient.contract.operations import OPERATIONS, replies, requests


def run() -> None:
    """Print the JSON Schema of requests and replies: `#/$defs/Request` and `#/$defs/Reply` of one document.

    Each operation's own request and reply are there, too, as `#/$defs/put` and `#/$defs/put.reply`.
    """
    adapters = [("Request", requests), ("Reply", replies)]
    for op, model in OPERATIONS.items():
        adapters += [(op, TypeAdapter(model)), (f"{op}.reply", TypeAdapter(model.reply))]
    schemas, shared = TypeAdapter.json_schemas(
        [(name, "validation", adapter) for name, adapter in adapters],
        title="kvd",
        description="What goes over a kvd endpoint: one Request, one Reply, each a single frame of UTF-8 JSON.",
    )
    shared["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    shared["$defs"] |= {str(name): schema for (name, _), schema in schemas.items()}
    print(json.dumps(shared, indent=2))
