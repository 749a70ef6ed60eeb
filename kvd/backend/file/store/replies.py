"""Replies as bytes. A value is passed through as it lies in the file, so nothing is serialised twice."""

from collections.abc import Generator, Iterable
from json.encoder import encode_basestring

from kvd.backend.asking import Owner
from kvd.backend.file.engine.interface import NEVER, Entry, Outcome

Steps = Generator[None, None, bytes]
"""Runs in short steps, and returns the reply in the end."""
Answer = bytes | Steps


def quoted(key: str) -> bytes:
    """Return a key as JSON."""
    text: str = encode_basestring(key)
    return text.encode()


def array(members: Iterable[bytes]) -> bytes:
    """Return a JSON array."""
    return b"[%s]" % b",".join(members)


def changed(outcome: Outcome) -> bytes:
    """Return the reply to a change."""
    if outcome.fields:
        return b'{"ok":true,"revision":%d,%s}' % (outcome.revision, outcome.fields)
    return b'{"ok":true,"revision":%d}' % outcome.revision


def read_reply(value: bytes, entry: Entry, owner: Owner | None) -> bytes:
    """Return the reply to a read."""
    if entry.expires_at == NEVER and owner is None:
        return b'{"ok":true,"value":%s,"revision":%d}' % (value, entry.revision)
    return b'{"ok":true,"value":%s,"revision":%d%s}' % (value, entry.revision, _more(entry, owner))


def entry_fields(key: str, entry: Entry, owner: Owner | None, value: bytes | None) -> bytes:
    """Return an entry as a list tells of it."""
    shown = b"" if value is None else b',"value":%s' % value
    return b'{"key":%s,"revision":%d%s%s}' % (quoted(key), entry.revision, _more(entry, owner), shown)


def _more(entry: Entry, owner: Owner | None) -> bytes:
    expires = b"" if entry.expires_at == NEVER else b',"expires_at":%s' % repr(entry.expires_at).encode()
    return expires if owner is None else b'%s,"owner":{"pid":%d,"uid":%d}' % (expires, owner.pid, owner.uid)
