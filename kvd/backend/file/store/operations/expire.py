"""What expire means."""

from kvclient.contract.operations.expire import Expire
from kvd.backend.file.store.view import View


def expire(view: View, request: Expire) -> bytes:
    """Give a key another time to live, or none; it keeps its value and its owner."""
    expires_at = view.expires_at(request.ttl)
    state = view.existing(request.key)
    view.put(request.key, view.value(state), expires_at, view.owner(request.key))
    return b""
