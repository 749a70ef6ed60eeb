"""Who stands in line for a lock, and who of them holds it. Decides by what the store lists, and asks for nothing.

A **ticket** of lock NAME is an ephemeral key `lock:NAME#<16 hex digits>`. The store numbers tickets by their revisions,
and that is the line. A ticket says with how many others its owner would share the lock.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kvclient.contract.records import Entry, Event

_TICKET_DIGITS = 16
_LONGEST_COMMAND = 200
"""Characters of a command line that a ticket has room for."""
_is_ticket = re.compile(f"[0-9a-f]{{{_TICKET_DIGITS}}}").fullmatch


class Holder(NamedTuple):
    """A process that holds a lock."""

    pid: int
    command: str
    """Its command line as it is now; as it was when it asked for the lock, if that cannot be seen."""
    revision: int
    """The fencing number of its hold."""


def prefix(name: str) -> str:
    """Return what all tickets of a lock begin with. So may keys that are none."""
    return f"lock:{name}#"


def new_ticket(name: str) -> str:
    """Return a key that no other ticket has."""
    return f"{prefix(name)}{os.urandom(_TICKET_DIGITS // 2).hex()}"


def ticket_value(command: str | None, asked_at: float, shared: int) -> dict[str, Any]:
    """Return what a ticket says of its owner; None stands for this process's command line."""
    shown = command_line(os.getpid()) if command is None else command
    return {"command": shown[:_LONGEST_COMMAND], "since": asked_at, "shared": shared}


def line(name: str, found: Iterable[Entry]) -> list[Entry]:
    """Return the tickets among the keys found, the first come first."""
    start = len(prefix(name))
    tickets = [entry for entry in found if entry.owner is not None and _is_ticket(entry.key[start:])]
    return sorted(tickets, key=lambda entry: (entry.revision, entry.key))


def place(line: Sequence[Entry], ticket: str) -> int | None:
    """Return where in the line a ticket stands, from 0 on; None if it is gone."""
    return next((place for place, entry in enumerate(line) if entry.key == ticket), None)


def holds(line: Sequence[Entry], place: int) -> bool:
    """Tell whether the ticket at `place` holds the lock: nobody up to it minds so many."""
    return place < min(shared(entry) for entry in line[: place + 1])


def shared(ticket: Entry) -> int:
    """Return how many its owner would have hold the lock."""
    number = ticket.value.get("shared") if isinstance(ticket.value, dict) else None
    return number if isinstance(number, int) and number >= 1 else 1


def holders(line: Sequence[Entry]) -> list[Holder]:
    """Return who holds the lock, the longest first."""
    return [
        Holder(entry.owner.pid, command_line(entry.owner.pid) or _noted(entry.value), entry.revision)
        for place, entry in enumerate(line)
        if entry.owner is not None and holds(line, place)
    ]


def named(holders: Sequence[Holder]) -> str:
    """Return the holders as a person reads them."""
    return ", ".join(f"pid {holder.pid} ({holder.command})" for holder in holders) or "others"


def frees(events: Iterable[Event], tickets: set[str]) -> bool:
    """Tell whether one of these tickets is gone."""
    return any(event.key in tickets and event.kind != "created" for event in events)


def command_line(pid: int) -> str:
    """Return a process's command line; empty if it cannot be seen."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    return " ".join(word.decode("utf-8", "backslashreplace") for word in words)


def _noted(value: Any) -> str:
    return str(value.get("command", "")) if isinstance(value, dict) else ""
