"""What put and update mean."""

from kvclient.contract.errors import InvalidTTLError
from kvclient.contract.operations.put import Put
from kvclient.contract.operations.update import Update
from kvd.backend.file.engine.interface import NEVER
from kvd.backend.file.store.view import State, View, not_found


def put(view: View, request: Put) -> bytes:
    """Create a key or replace its value."""
    return _replace(view, request, view.at_revision(request.key, request.if_revision))


def update(view: View, request: Update) -> bytes:
    """Replace the value of a key that exists."""
    state = view.at_revision(request.key, request.if_revision)
    if state is None:
        raise not_found(request.key)
    return _replace(view, request, state)


def _replace(view: View, request: Put | Update, state: State | None) -> bytes:
    expires_at = view.expires_at(request.ttl)
    if request.keep_ttl:
        if expires_at != NEVER:
            raise InvalidTTLError(f"Key {request.key!r} cannot both get a ttl and keep_ttl: leave one of them out.")
        expires_at = NEVER if state is None else state.expires_at
    view.put(request.key, request.value, expires_at, view.bound_to(request.ephemeral))
    return b""
