"""What count means."""

from kvclient.contract.operations.count import Count
from kvd.backend.asking import prefixes_of
from kvd.backend.file.store.keys import Keys
from kvd.backend.file.store.replies import Answer, Steps


def count(keys: Keys, request: Count) -> Answer:
    """Count keys: at once, or, where thousands have just expired or are being cleared, when that is known."""
    prefixes = prefixes_of(request.prefix)
    if _counts_at_once(keys, prefixes):
        return _reply(keys, prefixes)
    return _later(keys, prefixes)


def _later(keys: Keys, prefixes: tuple[str, ...]) -> Steps:
    while not _counts_at_once(keys, prefixes):
        yield
    return _reply(keys, prefixes)


def _counts_at_once(keys: Keys, prefixes: tuple[str, ...]) -> bool:
    return all(map(keys.counts_at_once, prefixes))


def _reply(keys: Keys, prefixes: tuple[str, ...]) -> bytes:
    return b'{"ok":true,"count":%d}' % sum(map(keys.count, prefixes))
