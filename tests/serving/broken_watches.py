"""Servers that tell watchers what was not so; see `broken.Front`."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

Events = list[dict[str, Any]]
_EVERY = 3
"""Of so many replies that could be told wrong, one is: the first, and the first after each so many."""


class TellingWrong(ABC):
    """Passes everything on, but some replies to watches."""

    def __init__(self) -> None:
        self._count = 0

    def answer(self, request: bytes, ask: Callable[[bytes], bytes], *, badly: bool) -> bytes:  # noqa: ARG002
        reply = ask(request)
        if json.loads(request)["op"] != "watch":
            return reply
        fields = json.loads(reply)
        wrong = self.tell(fields["events"]) if fields.get("events") else fields.get("events")
        if wrong == fields.get("events"):
            return reply
        right = self._count % _EVERY
        self._count += 1
        return reply if right else json.dumps({**fields, "events": wrong}).encode()

    @abstractmethod
    def tell(self, events: Events) -> Events:
        """Return the events as they are not; the same where that cannot be done to them."""


class Dropping(TellingWrong):
    """Leaves an event out."""

    def tell(self, events: Events) -> Events:
        return events[:-1]


class Doubling(TellingWrong):
    """Tells an event twice."""

    def tell(self, events: Events) -> Events:
        return [events[0], *events]


class Reordering(TellingWrong):
    """Tells the events of a reply in the wrong order."""

    def tell(self, events: Events) -> Events:
        return events[::-1]


class Misremembering(TellingWrong):
    """Tells a wrong value before."""

    def tell(self, events: Events) -> Events:
        return [{**event, "previous": "wrong"} if "previous" in event else event for event in events]
