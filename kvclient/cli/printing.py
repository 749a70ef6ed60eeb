"""What `kvctl` prints of keys, entries and events. Imports no Typer, because `kvctl read KEY` has no time for it."""

import json
import sys
from typing import Any

from kvclient.cli.output import show
from kvclient.contract.errors import DataStoreError
from kvclient.contract.records import Entry, Event
from kvclient.screen.text import text_for


def show_line(line: str, *, at_once: bool = False, painted: bool = False) -> None:
    """Print a line of data, `at_once` if who reads it may be waiting for it.

    On a terminal it is escaped, unless it is `painted`: then its parts have been, before they got their colours.
    """
    if sys.stdout is None:
        raise DataStoreError("The output cannot be written: standard output is closed.")
    print(line if painted else text_for(sys.stdout, line), flush=at_once)


def compact_json(value: Any) -> str:
    """Return a value as JSON in one line, in characters that standard output has."""
    plain = sys.stdout is not None and (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    return json.dumps(value, ensure_ascii=plain)


def show_value(value: Any, *, raw: bool = False) -> None:
    """Print a value as JSON; if `raw`, a string as the text that it is."""
    if raw and isinstance(value, str):
        show_line(value)
    else:
        show(value)


def entry_fields(entry: Entry, *, value: bool = True) -> dict[str, Any]:
    """Return an entry as a JSON object: as on the wire, with its key."""
    return {
        "key": entry.key,
        **({"value": entry.value} if value else {}),
        "revision": entry.revision,
        **({} if entry.expires_at is None else {"expires_at": entry.expires_at}),
        **({} if entry.owner is None else {"owner": entry.owner._asdict()}),
    }


def event_fields(event: Event) -> dict[str, Any]:
    """Return an event as a JSON object, as on the wire: without a value if the key is gone."""
    fields = event._asdict()
    if event.kind not in ("created", "updated"):
        del fields["value"]
    if event.kind == "created":
        del fields["previous"]
    return fields


def event_line(event: Event) -> str:
    """Return an event for a person and for `cut`: kind, key and value, with tabs between them, which no key has."""
    there = event.kind in ("created", "updated")
    return "\t".join([event.kind, event.key, *([compact_json(event.value)] if there else [])])
