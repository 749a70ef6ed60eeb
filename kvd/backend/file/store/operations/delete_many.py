"""What delete_many means."""

from kvclient.contract.operations.delete_many import DeleteMany
from kvd.backend.file.store.replies import array, quoted
from kvd.backend.file.store.view import View


def delete_many(view: View, request: DeleteMany) -> bytes:
    """Remove the keys that exist and tell which those were."""
    deleted = []
    for key in request.keys:
        if view.find(key) is not None:
            view.remove(key)
            deleted.append(quoted(key))
    return b'"deleted":%s' % array(deleted)
