"""What count means."""

from kvclient.contract.operations.count import Count
from kvd.backend.file.store.keys import Keys
from kvd.backend.file.store.replies import Answer, Steps


def count(keys: Keys, request: Count) -> Answer:
    """Count keys: at once, or, where thousands have just expired or are being cleared, when that is known."""
    if keys.counts_at_once(request.prefix):
        return _reply(keys, request)
    return _later(keys, request)


def _later(keys: Keys, request: Count) -> Steps:
    while not keys.counts_at_once(request.prefix):
        yield
    return _reply(keys, request)


def _reply(keys: Keys, request: Count) -> bytes:
    return b'{"ok":true,"count":%d}' % keys.count(request.prefix)
