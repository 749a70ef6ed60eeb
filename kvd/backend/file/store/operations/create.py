"""What create means."""

from kvclient.contract.errors import KeyExistsError
from kvclient.contract.operations.create import Create
from kvd.backend.file.store.view import View


def create(view: View, request: Create) -> bytes:
    """Put a key that does not exist."""
    if view.find(request.key) is not None:
        raise KeyExistsError(f"Key {request.key!r} exists.", [request.key])
    view.put(request.key, request.value, view.expires_at(request.ttl), view.bound_to(request.ephemeral))
    return b""
