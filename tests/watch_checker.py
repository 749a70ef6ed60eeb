"""Whether what a watcher was told can have happened: everything, once, in order, and with the right values before it.

A watcher's record is the events as the wire tells them, and a `Gap` wherever the daemon said that changes are no longer
kept. Events are compared with each other and with what the writers know of their changes.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Any, NamedTuple


class Unknown(Enum):
    """Stands for a value, also after it was passed to another process."""

    ANY = "any"


ANY = Unknown.ANY
"""A value that the writer does not know."""
_MILLISECOND = 0.002
"""Times are told to the millisecond."""


class Gap(NamedTuple):
    """Changes up to this revision were not told."""

    revision: int


class Change(NamedTuple):
    """A change that was acknowledged to a writer."""

    revision: int
    key: str
    value: Any
    """What the key holds after it; None if it is gone; `ANY`."""


class Checker:
    """Follows one watcher's record and notes what is wrong with it."""

    def __init__(self, start: int, unseen: Iterable[int], ttls: dict[int, float], *, everything: bool = True) -> None:
        """The watcher began at revision `start`, of an empty store.

        `unseen` revisions have no event: large clears, whose removals follow. `ttls` are the seconds that changes gave
        their keys, by revision. `everything`: the watch was for all keys, so that no revision may be missing.
        """
        self.problems: list[str] = []
        self.last = start
        """The revision up to which everything was told."""
        self.keys: dict[str, Any] = {}
        """What there is, as far as events tell."""
        self.told: dict[tuple[int, str], dict[str, Any]] = {}
        self.gaps: list[tuple[int, int]] = []
        """From which revision to which nothing was told."""
        self._unseen = set(unseen)
        self._ttls = ttls
        self._everything = everything
        self._known_from_empty = True
        self._due: dict[str, float] = {}

    def follow(self, record: Iterable[dict[str, Any] | Gap]) -> None:
        """Take note of events, in the order in which they were told."""
        for told in record:
            if isinstance(told, Gap):
                self.gaps.append((self.last, told.revision))
                self.last = told.revision
                self.keys.clear()
                self._due.clear()
                self._known_from_empty = False
            else:
                self._order(told)
                self._state(told)
                self.told[told["revision"], told["key"]] = told
                self.last = max(self.last, told["revision"])

    def _wrong(self, event: dict[str, Any], what: str) -> None:
        self.problems.append(f"{what}: {event}")

    def _order(self, event: dict[str, Any]) -> None:
        revision = event["revision"]
        if (revision, event["key"]) in self.told:
            self._wrong(event, "told twice")
        elif revision < self.last:
            self._wrong(event, f"told behind revision {self.last}")
        elif self._everything:
            missing = set(range(self.last + 1, revision)) - self._unseen
            if missing:
                self._wrong(event, f"revisions {sorted(missing)} are missing before it")

    def _state(self, event: dict[str, Any]) -> None:
        key, kind = event["key"], event["kind"]
        self._before(event, there=key in self.keys)
        if kind == "expired" and event["time"] < self._due.get(key, 0.0) - _MILLISECOND:
            self._wrong(event, f"expired before its time, {self._due[key]}")
        if ("value" in event) != (kind in ("created", "updated")):
            self._wrong(event, f"{kind} and its value do not fit")
        self._due.pop(key, None)
        if kind in ("created", "updated"):
            self.keys[key] = event.get("value")
            if event["revision"] in self._ttls:
                self._due[key] = event["time"] + self._ttls[event["revision"]]
        else:
            self.keys.pop(key, None)

    def _before(self, event: dict[str, Any], *, there: bool) -> None:
        key, kind = event["key"], event["kind"]
        if kind == "created":
            if there:
                self._wrong(event, f"created, but it was there already, with {self.keys[key]!r}")
            if "previous" in event:
                self._wrong(event, "created, but with a previous value")
        elif "previous" not in event:
            self._wrong(event, "no previous value")
        elif there and event["previous"] != self.keys[key]:
            self._wrong(event, f"its previous value is {self.keys[key]!r}")
        elif not there and self._known_from_empty:
            self._wrong(event, f"{kind}, but it was not there")

    def compare(self, changes: Iterable[Change], prefix: str = "") -> None:
        """Have every acknowledged change been told, as it was."""
        first = min((revision for revision, _ in self.told), default=0)
        for change in changes:
            revision, key, value = change
            hidden = any(since < revision <= until for since, until in self.gaps)
            if not key.startswith(prefix) or revision < first or revision > self.last or hidden:
                continue
            event = self.told.get((revision, key))
            if event is None:
                self.problems.append(f"not told: {change}")
            elif value is not ANY and event.get("value") != value:
                self._wrong(event, f"it was told wrong, it is {change}")

    def compare_end(self, contents: dict[str, Any]) -> None:
        """Have all events together led to what is in the store at the end."""
        for key in {*contents, *self.keys} if self._known_from_empty else self.keys:
            if self.keys.get(key, ANY) != contents.get(key, ANY):
                self.problems.append(
                    f"{key} ends as {contents.get(key, 'nothing')!r}, but the events led to {self.keys.get(key)!r}"
                )
