"""What a transport refuses by itself, in the same words whichever it is."""

import re

from kvclient.contract.errors import BatchTooLargeError, DataStoreError, RequestError, ValueTooLargeError

DENIED_BYTES = 4096
"""The most of a request that is taken of a peer without any right: it is refused, and holds no memory."""

MOST_DENIED, DENIED_SECONDS = 256, 30.0
"""A peer without any right is disconnected after so many seconds, and at once where there are more of them than that.
"""

# What a request is about, by its first bytes.
_batch = re.compile(rb'\{\s*"op"\s*:\s*"(batch|batch_create|read_many|delete_many)"').match
_value = re.compile(rb'\{\s*"op"\s*:\s*"(create|put|update)"').match


def too_large(size: int, head: bytes, most: int) -> DataStoreError:
    """Return what a peer is told whose request, which begins with `head`, has more than `most` bytes."""
    kind: type[DataStoreError] = RequestError
    advice = ""
    if _batch(head):
        kind, advice = BatchTooLargeError, " Send it in several."
    elif _value(head):
        kind = ValueTooLargeError
    return kind(
        f"The request has {size} bytes; the limit is {most} (setting max_request_bytes). Nothing was changed.{advice}"
    )
