"""Rows of the live view: processes, events and keys, as text that a terminal can be given."""

import json
import time
from typing import Any

from rich.text import Text

from kvclient.cli.top.source import process_name
from kvclient.contract.records import Entry, Event
from kvclient.screen.quantities import duration
from kvclient.screen.text import shown
from kvclient.screen.width import cut

_VALUE_CHARACTERS = 200
"""Of a value in a line."""
_SHOWN_CHARACTERS = 200_000
"""Of a value that is looked into."""
_STYLES = {"created": "green", "updated": "cyan", "deleted": "red", "expired": "magenta", "released": "magenta"}


def plain(text: str, style: str = "") -> Text:
    """Return text in which nothing is markup or a command to the terminal."""
    return Text(shown(text), style=style, no_wrap=True, overflow="ellipsis")


def process_row(process: dict[str, Any]) -> tuple[Text, ...]:
    """Return pid, name, connections and watches of a process."""
    return (
        plain(str(process.get("pid", ""))),
        plain(_who(process)),
        plain(str(process["connections"])),
        plain(str(process["watching"] or "")),
    )


def _who(process: dict[str, Any]) -> str:
    """Return the name of a process, or what else is known of who has no pid here."""
    if "pid" in process:
        return process_name(process["pid"])
    return f"key {process['key']}" if "key" in process else f"uid {process['uid']}"


def event_line(event: Event) -> Text:
    """Return an event: when, what, the key and its new value."""
    line = plain(f"{time.strftime('%H:%M:%S', time.localtime(event.time))} ", "dim")
    line.append(f"{event.kind:<8} ", _STYLES[event.kind])
    line.append(shown(event.key), "bold")
    if event.kind in ("created", "updated"):
        line.append(f" {shown(json.dumps(event.value, ensure_ascii=False)[:_VALUE_CHARACTERS])}")
    return line


def key_row(entry: Entry, width: int) -> tuple[Text, ...]:
    """Return a key in at most `width` columns, its revision, and what it lives as long as."""
    return Text(cut(shown(entry.key), width), no_wrap=True), plain(str(entry.revision)), plain(lives(entry))


def lives(entry: Entry) -> str:
    """Return until when a key lives; an empty string if it does until somebody deletes it."""
    if entry.owner is not None:
        return f"with process {entry.owner.pid} ({process_name(entry.owner.pid)})"
    return "" if entry.expires_at is None else f"{duration(max(0.0, entry.expires_at - time.time()))} left"


def value_text(entry: Entry) -> Text:
    """Return all that is known of a key."""
    text = Text(shown(entry.key), style="bold")
    text.append(f"\nrevision {entry.revision}", "dim")
    if until := lives(entry):
        text.append(f", {shown(until)}", "dim")
    value = json.dumps(entry.value, ensure_ascii=False, indent=2)
    cut = len(value) > _SHOWN_CHARACTERS
    text.append(f"\n\n{shown(value[:_SHOWN_CHARACTERS])}", "")
    return text.append("\n… cut here", "dim") if cut else text
