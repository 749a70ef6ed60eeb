"""What batch_create means."""

from kvclient.contract.errors import DataStoreError, KeyExistsError
from kvclient.contract.operations.batch_create import BatchCreate
from kvclient.contract.rules import all_valid, summary
from kvd.backend.file.store.view import View


def batch_create(view: View, request: BatchCreate) -> bytes:
    """Put keys of which none exists; the error names each that does, or cannot be a key."""
    items = request.items
    expires_at = view.expires_at(request.ttl)
    if not items:
        return b""
    if not (all_valid(items, view.limits.max_key_length) and view.fresh(items)):
        problems: list[DataStoreError] = []
        for key in items:
            try:
                if view.find(key) is not None:
                    raise KeyExistsError(f"Key {key!r} exists.", [key])
            except DataStoreError as error:
                problems.append(error)
        if problems:
            raise summary(problems)
        for key in items:
            view.bury(key)
    view.put_all(items, expires_at)
    return b""
