"""The fields of replies as what a caller gets: numbers, values, records."""

from typing import Any, NamedTuple

from kvclient.contract.records import Entry, Event, Owner


class Page(NamedTuple):
    """A page of a list."""

    entries: list[Entry]
    more: bool
    """Whether keys follow behind the last of these."""


class Told(NamedTuple):
    """What a watch was told."""

    events: list[Event]
    revision: int
    """Up to which everything was told."""


def nothing(_: dict[str, Any]) -> None:
    """Return None: the reply says that it is done."""


def revision(fields: dict[str, Any]) -> int:
    """Return the store's revision after a change."""
    number: int = fields["revision"]
    return number


def value(fields: dict[str, Any]) -> Any:
    """Return the value that was read, or came of a change."""
    return fields["value"]


def exists(fields: dict[str, Any]) -> bool:
    """Return whether the key exists."""
    found: bool = fields["exists"]
    return found


def count(fields: dict[str, Any]) -> int:
    """Return how many keys there are."""
    number: int = fields["count"]
    return number


def entry(fields: dict[str, Any]) -> Entry:
    """Return a key and what is known of it, from the fields of a reply with its key, or of a list's entry."""
    owner = fields.get("owner")
    return Entry(
        fields["key"],
        fields.get("value"),
        fields["revision"],
        fields.get("expires_at"),
        None if owner is None else Owner(owner["pid"], owner["uid"]),
    )


def page(fields: dict[str, Any]) -> Page:
    """Return a page of a list."""
    return Page(list(map(entry, fields["entries"])), fields["more"])


def values(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the values of several keys, by key."""
    return {each["key"]: each.get("value") for each in fields["entries"]}


def deleted_keys(fields: dict[str, Any]) -> list[str]:
    """Return which keys were deleted."""
    keys: list[str] = fields["deleted"]
    return keys


def deleted_count(fields: dict[str, Any]) -> int:
    """Return how many keys were deleted."""
    number: int = fields["deleted"]
    return number


def each(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what each operation of a batch comes to."""
    results: list[dict[str, Any]] = fields["results"]
    return results


def told(fields: dict[str, Any]) -> Told:
    """Return the events that a watch was told, and up to which revision these are all."""
    return Told(list(map(_event, fields["events"])), fields["revision"])


def stats(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the daemon's counters."""
    counters: dict[str, Any] = fields["stats"]
    return counters


def status(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what the daemon tells of itself."""
    details: dict[str, Any] = fields["status"]
    return details


def refusing(fields: dict[str, Any]) -> str | None:
    """Return why all changes are refused, or None."""
    return fields.get("refusing")


def _event(fields: dict[str, Any]) -> Event:
    return Event(
        fields["kind"],
        fields["key"],
        fields.get("value"),
        fields.get("previous"),
        fields["revision"],
        fields["time"],
    )
