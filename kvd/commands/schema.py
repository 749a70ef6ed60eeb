"""kvd schema"""

import json

from pydantic import TypeAdapter

from kvclient.contract.messages import replies, requests


def run() -> None:
    """Print the JSON Schema of requests and replies, as `#/$defs/Request` and `#/$defs/Reply` of one document."""
    schemas, shared = TypeAdapter.json_schemas(
        [("Request", "validation", requests), ("Reply", "validation", replies)],
        title="kvd",
        description="What goes over a kvd endpoint: one Request, one Reply, each a single frame of UTF-8 JSON.",
    )
    shared["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    shared["$defs"] |= {str(name): schema for (name, _), schema in schemas.items()}
    print(json.dumps(shared, indent=2))
