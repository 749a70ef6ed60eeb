"""How a lock is taken and given back, as steps: the one algorithm behind `Lock` and `AsyncLock`.

Who wants the lock puts a ticket into the store (see `line`), and the first in line holds it. Everybody else watches the
ticket right in front of him, so that a release wakes one process and not all of them. A holder or waiter that dies
leaves the line by the kernel's word, as its ticket goes with it; nothing has to be renewed and nothing can run out.

The rule that makes it exclusive: a ticket in front never comes to be behind, and new ones come to the end. So who once
saw that nobody is in front of him holds the lock until his own ticket is gone.
"""

import os
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

from kvclient.contract import calls
from kvclient.contract.errors import DataStoreError, KeyNotFoundError, LockHeldError, RevisionGoneError
from kvclient.contract.listing import Listing
from kvclient.contract.records import Entry
from kvclient.contract.rules import check_key
from kvclient.contract.watching import Watching
from kvclient.recipes import line as lines
from kvclient.recipes.line import Holder
from kvclient.recipes.steps import Steps, ask
from kvclient.recipes.waiting import Deadline, Wait, check_wait

OnWait: TypeAlias = Callable[[list[Holder]], None] | None


class _Hold:
    """A lock that is held, by a thread or a task of a process."""

    __slots__ = ("depth", "owner", "pid", "revision", "ticket")

    def __init__(self, ticket: str, revision: int, owner: object) -> None:
        self.ticket = ticket
        self.revision = revision
        self.owner = owner
        self.pid = os.getpid()
        self.depth = 1
        """How often its owner has taken it and not yet released it."""


_Nests: TypeAlias = dict[tuple[str, int, object], _Hold]
_nests: "weakref.WeakKeyDictionary[object, _Nests]" = weakref.WeakKeyDictionary()
"""What is held and may be taken again, by store; then by name, pid and owner. Functions that call each other describe
the lock anew, each for itself, and are to know of it.
"""
_left: "weakref.WeakKeyDictionary[object, list[str]]" = weakref.WeakKeyDictionary()
"""Tickets that may still be in a store although nobody wants them, as it could not be asked to delete them. Who next
asks for a lock of that store, by whatever object, deletes them first.
"""


class Holding:
    """A lock by name, and what of it is held through this object."""

    def __init__(
        self, store: object, name: str, shared: int, wait: Wait, command: str | None, *, reentrant: bool
    ) -> None:
        if not isinstance(shared, int) or isinstance(shared, bool) or shared < 1:
            raise ValueError(f"A lock is shared by a number of holders from 1 on, not by {shared!r}.")
        self.name = check_key(name)
        self.shared = shared
        self.wait = check_wait(wait)
        self.command = command
        self.reentrant = reentrant
        self._nests: _Nests = _nests.setdefault(store, {}) if reentrant else {}
        self._held: list[_Hold] = []
        self._left = _left.setdefault(store, [])

    def acquire(self, owner: object, wait: Wait, on_wait: OnWait) -> Steps[bool]:
        """Get the lock for `owner`, or come to False when that takes too long."""
        nested = self._nests.get(self._nest(owner))
        if nested is not None:
            nested.depth += 1
            return True
        deadline = Deadline(wait)
        yield from self._clean_up()
        ticket = lines.new_ticket(self.name)
        try:
            revision = yield from self._wait_in_line(ticket, deadline, on_wait)
            if revision is not None:
                self._note(_Hold(ticket, revision, owner))
                return True
        except GeneratorExit:
            raise
        except BaseException:
            self._forget(ticket)
            # If it is not known whether the ticket was drawn, that may still happen after it was found to be absent.
            self._left.append(ticket)
            yield from self._leave(ticket)
            raise
        yield from self._leave(ticket)
        return False

    def enter(self, owner: object) -> Steps[None]:
        """Get the lock, or raise `LockHeldError` that names its holders."""
        if (yield from self.acquire(owner, self.wait, None)):
            return
        holders = yield from self.holders()
        who = f"is held by {lines.named(holders)}" if holders else "was held by others until just now"
        raise LockHeldError(
            f"Lock {self.name!r} {who}. It was not free within {self.wait:g} s; wait longer with wait=SECONDS."
        )

    def release(self, owner: object) -> Steps[None]:
        """Give it back, what this owner holds first."""
        hold = self.hold(owner)
        if hold is None:
            by = "thread or task" if self.reentrant else "process"
            raise RuntimeError(f"Lock {self.name!r} is not held by this {by}.")
        hold.depth -= 1
        if hold.depth:
            return
        self._forget(hold.ticket)
        try:
            yield from ask(calls.delete(hold.ticket))
        except KeyNotFoundError:
            raise KeyNotFoundError(
                f"Lock {self.name!r} was no longer held: somebody deleted its key {hold.ticket!r}.", [hold.ticket]
            ) from None
        except BaseException:
            self._left.append(hold.ticket)
            raise

    def holders(self) -> Steps[list[Holder]]:
        """Come to who holds it now, the longest first."""
        return lines.holders((yield from self._line()))

    def locked(self) -> Steps[bool]:
        """Come to whether who asks for it now would have to wait."""
        line = yield from self._line()
        allowed = min([self.shared, *(lines.shared(entry) for entry in line)])
        return len(line) >= allowed

    def hold(self, owner: object) -> _Hold | None:
        """Return what `owner` holds; if that is nothing, the latest hold of this process, unless it is re-entrant.

        After a fork the lock is still the parent's, and not the child's.
        """
        if self.reentrant:
            return self._nests.get(self._nest(owner))
        held = [hold for hold in self._held if hold.pid == os.getpid()]
        return next((hold for hold in reversed(held) if hold.owner is owner), held[-1] if held else None)

    def _nest(self, owner: object) -> tuple[str, int, object]:
        return self.name, os.getpid(), owner

    def _note(self, hold: _Hold) -> None:
        if self.reentrant:
            self._nests[self._nest(hold.owner)] = hold
        self._held.append(hold)

    def _forget(self, ticket: str) -> None:
        for hold in [hold for hold in self._held if hold.ticket == ticket]:
            self._held.remove(hold)
        for nest in [nest for nest, hold in self._nests.copy().items() if hold.ticket == ticket]:
            self._nests.pop(nest, None)

    def _wait_in_line(self, ticket: str, deadline: Deadline, on_wait: OnWait) -> Steps[int | None]:
        """Come to the ticket's revision when the lock is held, to None when it is too late for that."""
        asked_at = time.time()
        yield from self._draw(ticket, asked_at)
        while True:
            line = yield from self._line()
            place = lines.place(line, ticket)
            if place is None:  # somebody deleted it, which shows when it is its turn: to the end of the line
                yield from self._draw(ticket, asked_at)
            elif lines.holds(line, place):
                return line[place].revision
            elif not deadline.left():
                return None
            else:
                if on_wait is not None:
                    on_wait(lines.holders(line))
                    on_wait = None
                yield from self._wait_for_departure(ticket, line[place - 1].key, deadline)

    def _draw(self, ticket: str, asked_at: float) -> Steps[None]:
        yield from ask(calls.put(ticket, lines.ticket_value(self.command, asked_at, self.shared), ephemeral=True))

    def _wait_for_departure(self, ticket: str, front: str, deadline: Deadline) -> Steps[None]:
        """End when the line in front of `ticket` may have become short enough, or at the deadline."""
        # Who shares the lock may get it when any of those in front goes, and has to look at them all.
        watching = Watching(front if self.shared == 1 else lines.prefix(self.name), None)
        try:
            watching.take((yield from ask(watching.first())))
            line = yield from self._line()  # what went before the watch began is not told
            place = lines.place(line, ticket)
            if place is None or lines.holds(line, place) or line[place - 1].key != front:
                return
            ahead = {entry.key for entry in line[:place]}
            while not lines.frees(watching.events, ahead) and (seconds := deadline.left()):
                watching.events.clear()
                watching.take((yield from ask(watching.next(seconds))))
        except RevisionGoneError:
            return

    def _line(self) -> Steps[Sequence[Entry]]:
        found: list[Entry] = []
        listing = Listing(lines.prefix(self.name), "", None, values=True)
        while listing.more:
            found += listing.take((yield from ask(listing.call())))
        return lines.line(self.name, found)

    def _leave(self, ticket: str) -> Steps[None]:
        """Delete a ticket. One that cannot be deleted now is with the next `acquire`, or when this process ends."""
        try:
            yield from ask(calls.delete(ticket))
        except KeyNotFoundError:
            pass
        except DataStoreError:
            self._left.append(ticket)

    def _clean_up(self) -> Steps[None]:
        if self._left:
            left = self._left.copy()
            yield from ask(calls.delete_many(left))
            for ticket in left:
                with suppress(ValueError):  # another thread did it
                    self._left.remove(ticket)
