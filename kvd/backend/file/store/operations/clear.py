"""What clear means."""

from kvclient.contract.operations.clear import Clear
from kvd.backend.file.store.view import View

AT_ONCE = 1000
"""So many keys are removed in the commit of the clear itself; for more, that takes too long for those who wait."""


def clear(view: View, request: Clear) -> bytes:
    """Remove all keys with a prefix.

    Of many keys, the commit only says which prefix is cleared. From then on they are gone for everybody, and after a
    crash, too; their removal is written down beside service.
    """
    if view.entries(request.prefix) > AT_ONCE:
        return b'"deleted":%d' % view.clear_later(request.prefix)
    keys = view.keys(request.prefix)
    for key in keys:
        view.remove(key)
    return b'"deleted":%d' % len(keys)
