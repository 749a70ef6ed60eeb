"""What delete and pop mean."""

from kvclient.contract.operations.delete import Delete
from kvclient.contract.operations.pop import Pop
from kvd.backend.file.store.view import State, View, not_found


def delete(view: View, request: Delete) -> bytes:
    """Remove a key."""
    _take(view, request)
    return b""


def pop(view: View, request: Pop) -> bytes:
    """Remove a key and tell its value."""
    return b'"value":%s' % view.value(_take(view, request))


def _take(view: View, request: Delete | Pop) -> State:
    state = view.at_revision(request.key, request.if_revision)
    if state is None:
        raise not_found(request.key)
    view.remove(request.key)
    return state
