"""What read and exists mean."""

from kvclient.contract.operations.exists import Exists
from kvclient.contract.operations.read import Read
from kvd.backend.file.store.keys import Keys
from kvd.backend.file.store.replies import read_reply


def read(keys: Keys, request: Read) -> bytes:
    """Return a key's value, and what else is known of it."""
    key = request.key
    entry = keys.existing(key)
    return read_reply(keys.value(key, entry), entry, keys.owners.of(key))


def exists(keys: Keys, request: Exists) -> bytes:
    """Tell whether there is a key."""
    return b'{"ok":true,"exists":%s}' % (b"true" if keys.find(request.key) is not None else b"false")
