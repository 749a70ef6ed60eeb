"""What read_many means."""

from kvclient.contract.errors import BatchTooLargeError
from kvclient.contract.operations.read_many import ReadMany
from kvd.backend.file.store.keys import Keys
from kvd.backend.file.store.replies import array, entry_fields


def read_many(keys: Keys, request: ReadMany) -> bytes:
    """Return those of the keys that exist."""
    now, most = keys.clock(), keys.limits.max_request_bytes
    found = [(key, entry) for key in dict.fromkeys(request.keys) if (entry := keys.live(key, now)) is not None]
    size = sum(entry.length for _, entry in found)
    if size > most:
        raise BatchTooLargeError(
            f"The values of the {len(found)} keys have {size} bytes together; a reply has at most {most} (setting "
            "max_request_bytes). Ask for fewer at a time."
        )
    entries = [entry_fields(key, entry, keys.owners.of(key), keys.value(key, entry)) for key, entry in found]
    return b'{"ok":true,"entries":%s}' % array(entries)
