"""The latest events, in memory, up to a bound."""

from bisect import bisect_right
from json.encoder import encode_basestring
from typing import NamedTuple

from kvd.backend.feed import Event

MOST_BYTES = 16 << 20
"""Of all events that are kept, about."""
_EVENT_BYTES = 200
"""What an event takes besides its key and values."""


class Told(NamedTuple):
    """An event as it is told."""

    revision: int
    key: str
    body: bytes
    """JSON."""


class Ring:
    """All events after `since`, the oldest first."""

    def __init__(self, since: int) -> None:
        self.since = since
        """The revision after which every event is here."""
        self._events: list[Told] = []
        self._bytes = 0

    def add(self, events: list[Event]) -> list[Told]:
        """Take the events of a commit, and return them as they are told."""
        told = [Told(event.revision, event.key, encode(event)) for event in events]
        self._events += told
        self._bytes += sum(len(event.body) + _EVENT_BYTES for event in told)
        if self._bytes > MOST_BYTES:
            self._drop_half()
        return told

    def _drop_half(self) -> None:
        """Forget the oldest half, up to the end of a revision."""
        kept, size = len(self._events), 0
        while kept > 0 and size < MOST_BYTES // 2:
            kept -= 1
            size += len(self._events[kept].body) + _EVENT_BYTES
        if kept == 0:
            return
        self.since = self._events[kept - 1].revision
        while kept < len(self._events) and self._events[kept].revision == self.since:
            kept += 1
        del self._events[:kept]
        self._bytes = sum(len(event.body) + _EVENT_BYTES for event in self._events)

    def after(self, revision: int) -> int:
        """Return the position of the first event after a revision, for `at`."""
        return bisect_right(self._events, revision, key=lambda event: event.revision)

    def at(self, position: int) -> Told | None:
        """Return the event at a position; None behind the last."""
        return self._events[position] if position < len(self._events) else None


def encode(event: Event) -> bytes:
    """Return an event as JSON."""
    kind, key, value, previous, revision, at = event
    return b'{"kind":"%s","key":%s%s%s,"revision":%d,"time":%s}' % (
        kind.encode(),
        encode_basestring(key).encode(),
        b"" if value is None else b',"value":%s' % value,
        b"" if previous is None else b',"previous":%s' % previous,
        revision,
        repr(at).encode(),
    )
