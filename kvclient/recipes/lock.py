"""A lock that processes of one machine share: first come first served, free the instant that its holder dies.

Who wants lock NAME puts a *ticket* into the store, an ephemeral key `lock:NAME#<16 hex digits>`. The store numbers
tickets by their revisions, and that is the line: the first one holds the lock. Everybody else watches the ticket right
in front of him, so that a release wakes one process and not all of them. A holder or waiter that dies leaves the line
by the kernel's word, because its ticket goes with it; nothing has to be renewed and nothing can run out.

The rule that makes it exclusive: a ticket in front never comes to be behind, and new ones come to the end. So who once
saw that nobody is in front of him holds the lock until his own ticket is gone.
"""

import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from kvclient.contract.errors import DataStoreError, KeyNotFoundError, RevisionGoneError
from kvclient.contract.face import Face
from kvclient.contract.records import Entry, Event

_TICKET_DIGITS = 16
_LONGEST_COMMAND = 200
"""Characters of a command line that a ticket has room for."""
_FOREVER = 1e9
_is_ticket = re.compile(f"[0-9a-f]{{{_TICKET_DIGITS}}}").fullmatch


class Holder(NamedTuple):
    """A process that holds a lock."""

    pid: int
    command: str
    """Its command line as it is now; as it was when it asked for the lock, if that cannot be seen."""
    revision: int
    """The fencing number of its hold."""


class _Hold(NamedTuple):
    ticket: str
    revision: int
    pid: int


class Lock:
    """A lock named `name` among all processes that use the same store; for up to `shared` holders at a time.

    The holder is this process: the lock is free when it is released and when the process ends, however it ends, and
    never before. Waiters get it in the order in which they came. Not reentrant. A `Lock` can be used by several
    threads, which then wait for each other as other processes do; each hold is released once.

    Those who ask for one lock with different `shared` are all kept to: one that came with 1 is alone with it.

    Everybody who may write to the store may delete a ticket, which takes its lock away.

    >>> with Lock(store, "nightly") as lock:
    ...     print(lock.revision)
    42
    """

    def __init__(self, store: Face, name: str, shared: int = 1, *, command: str | None = None) -> None:
        """Describe the lock; nothing is asked for yet. `command` is what others are told of the holder, in place of
        this process's command line.

        Raises `ValueError` if `shared` is no number from 1 on.
        """
        if not isinstance(shared, int) or isinstance(shared, bool) or shared < 1:
            raise ValueError(f"A lock is shared by a number of holders from 1 on, not by {shared!r}.")
        self.name = name
        self.shared = shared
        self._store = store
        self._prefix = f"lock:{name}#"
        self._command = command
        self._held: list[_Hold] = []
        self._left: list[str] = []

    @property
    def revision(self) -> int | None:
        """The fencing number: higher than that of every holder before. None if this process does not hold the lock."""
        held = self._of_this_process()
        return held[-1].revision if held else None

    def acquire(self, wait: float | None = None, *, on_wait: Callable[[list[Holder]], None] | None = None) -> bool:
        """Get the lock and return True; return False if others hold it for `wait` seconds more. None: wait as long as
        it takes; 0: do not wait.

        `on_wait` is called once, with the holders, if it has to wait. Raises what any call to the store raises; then
        the lock is not held.
        """
        deadline = time.monotonic() + (_FOREVER if wait is None else wait)
        self._clean_up()
        ticket = f"{self._prefix}{os.urandom(_TICKET_DIGITS // 2).hex()}"
        try:
            revision = self._wait_in_line(ticket, deadline, on_wait)
        except BaseException:
            self._leave(ticket)
            raise
        if revision is None:
            self._leave(ticket)
            return False
        self._held.append(_Hold(ticket, revision, os.getpid()))
        return True

    def release(self) -> None:
        """Let the next one have it. Raises `RuntimeError` if this process does not hold the lock, and
        `KeyNotFoundError` if somebody had taken it away by deleting its ticket.
        """
        held = self._of_this_process()
        if not held:
            raise RuntimeError(f"Lock {self.name!r} is not held by this process.")
        hold = held[-1]
        self._held.remove(hold)
        try:
            self._store.delete(hold.ticket)
        except KeyNotFoundError:
            raise KeyNotFoundError(
                f"Lock {self.name!r} was no longer held: somebody deleted its key {hold.ticket!r}.", [hold.ticket]
            ) from None
        except BaseException:
            self._left.append(hold.ticket)
            raise

    def holders(self) -> list[Holder]:
        """Return who holds the lock now, the longest first."""
        return _holders(self._line())

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _wait_in_line(self, ticket: str, deadline: float, on_wait: Callable[[list[Holder]], None] | None) -> int | None:
        """Return the ticket's revision when the lock is held, None when it is too late for that."""
        asked_at = time.time()
        self._draw(ticket, asked_at)
        while True:
            line = self._line()
            place = _place(line, ticket)
            if place is None:  # somebody deleted it, which shows when it is its turn: to the end of the line
                self._draw(ticket, asked_at)
            elif _holds(line, place):
                return line[place].revision
            elif time.monotonic() >= deadline:
                return None
            else:
                if on_wait is not None:
                    on_wait(_holders(line))
                    on_wait = None
                self._wait_for_departure(ticket, line[place - 1].key, deadline)

    def _draw(self, ticket: str, asked_at: float) -> None:
        command = _command_line(os.getpid()) if self._command is None else self._command
        value = {"command": command[:_LONGEST_COMMAND], "since": asked_at, "shared": self.shared}
        self._store.put(ticket, value, ephemeral=True)

    def _wait_for_departure(self, ticket: str, front: str, deadline: float) -> None:
        """Return when the line in front of `ticket` may have become short enough, or at the deadline."""
        # Who shares the lock may get it when any of those in front goes, and has to look at them all.
        watched = front if self.shared == 1 else self._prefix
        try:
            with self._store.watch(watched) as events:
                line = self._line()  # what went before the watch began is not told
                place = _place(line, ticket)
                if place is None or _holds(line, place) or line[place - 1].key != front:
                    return
                ahead = {entry.key for entry in line[:place]}
                while not _frees(events.within(max(0.0, deadline - time.monotonic())), ahead):
                    if time.monotonic() >= deadline:
                        return
        except RevisionGoneError:
            return

    def _line(self) -> list[Entry]:
        """Return all tickets, the first come first."""
        found = self._store.entries(self._prefix)
        tickets = [
            entry for entry in found if entry.owner is not None and _is_ticket(entry.key.removeprefix(self._prefix))
        ]
        return sorted(tickets, key=lambda entry: (entry.revision, entry.key))

    def _leave(self, ticket: str) -> None:
        """Delete a ticket. One that cannot be deleted now is with the next `acquire`, or when this process ends."""
        try:
            self._store.delete(ticket)
        except KeyNotFoundError:
            pass
        except DataStoreError:
            self._left.append(ticket)

    def _clean_up(self) -> None:
        if self._left:
            self._store.delete_many(self._left)
            self._left.clear()

    def _of_this_process(self) -> list[_Hold]:
        """Return what this process holds: after a fork the lock is still the parent's, and not the child's."""
        return [hold for hold in self._held if hold.pid == os.getpid()]


def _place(line: Sequence[Entry], ticket: str) -> int | None:
    return next((place for place, entry in enumerate(line) if entry.key == ticket), None)


def _holds(line: Sequence[Entry], place: int) -> bool:
    """Tell whether the ticket at `place` holds the lock: nobody up to it minds so many."""
    return place < min(_shared(entry.value) for entry in line[: place + 1])


def _shared(value: Any) -> int:
    shared = value.get("shared") if isinstance(value, dict) else None
    return shared if isinstance(shared, int) and shared >= 1 else 1


def _frees(event: Event | None, tickets: set[str]) -> bool:
    return event is not None and event.key in tickets and event.kind != "created"


def _holders(line: Sequence[Entry]) -> list[Holder]:
    return [
        Holder(entry.owner.pid, _command_line(entry.owner.pid) or _noted(entry.value), entry.revision)
        for place, entry in enumerate(line)
        if entry.owner is not None and _holds(line, place)
    ]


def _noted(value: Any) -> str:
    return str(value.get("command", "")) if isinstance(value, dict) else ""


def _command_line(pid: int) -> str:
    """Return a process's command line; empty if it cannot be seen."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    return " ".join(word.decode("utf-8", "backslashreplace") for word in words)
