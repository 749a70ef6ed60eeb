"""What list means."""

from itertools import chain, islice

from kvclient.contract.operations.list import List
from kvd.backend.asking import prefixes_of
from kvd.backend.file.store.keys import Keys
from kvd.backend.file.store.replies import Answer, Steps, array, entry_fields

MOST_ENTRIES, MOST_BYTES = 1000, 1 << 20
"""On a page, whatever was asked for: some milliseconds' work."""


def list_page(keys: Keys, request: List) -> Answer:
    """Return a page, which is one moment. Keys that are gone, of which there may be many, are passed over in steps."""
    return _page(keys, request)


def _page(keys: Keys, request: List) -> Steps:
    while not keys.order.ready():
        yield
    prefixes, after = prefixes_of(request.prefix), request.after
    limit = min(request.limit, MOST_ENTRIES)
    while True:
        entries: list[bytes] = []
        size, now = 0, keys.clock()
        following = chain.from_iterable(keys.order.behind(prefix, after) for prefix in prefixes)
        for key in islice(following, MOST_ENTRIES):
            after = key
            entry = keys.live(key, now)
            if entry is None:
                continue
            value = keys.value(key, entry) if request.values else None
            entries.append(entry_fields(key, entry, keys.owners.of(key), value))
            size += entry.length if request.values else 0
            if len(entries) == limit or size >= MOST_BYTES:
                break
        more = next(following, None) is not None
        if entries or not more:
            return b'{"ok":true,"entries":%s,"more":%s}' % (array(entries), b"true" if more else b"false")
        yield
