"""What the loop waits for: the peers of every transport, jobs that are done, and whatever else has a descriptor."""

import os
import select
import time
from collections.abc import Callable

from kvd.server.peers import Peer
from kvd.worker import Wakeup

IN, OUT, GONE = select.EPOLLIN, select.EPOLLOUT, select.EPOLLRDHUP
HUNG_UP = select.EPOLLHUP | select.EPOLLRDHUP | select.EPOLLERR
_SPIN_SECONDS = 0.00015
"""So long the next request is looked for before the process goes to sleep; see docs/performance.md."""

See = Callable[[int, list[Peer]], None]
"""Is called with the events of a descriptor, and adds the peers that can be received from to the list."""


Collect = Callable[[list[Peer]], None]
"""Adds the peers that can be received from to the list."""


class Poller:
    """Waits for descriptors (epoll(7))."""

    def __init__(self, wakeup: Wakeup) -> None:
        """`wakeup` ends a wait, and what was put into it is called."""
        self._wakeup = wakeup
        self._epoll = select.epoll()
        self._seen_by: dict[int, See] = {}
        self._again: list[Peer] = []
        self._collectors: list[Collect] = []
        self._chores: list[tuple[float, float, Callable[[], None]]] = []
        """When each is due, on the monotonic clock, how often it is, and what it is."""
        self._due = float("inf")
        self._several_cores = len(os.sched_getaffinity(0)) > 1
        self._active = False
        self.since = self._looked = time.monotonic()
        """Since when those that the last poll returned have waited at most: nothing of theirs was there before."""
        self.add(wakeup.fd, IN, lambda _events, _ready: wakeup.handle())

    def add(self, fd: int, events: int, see: See) -> None:
        """Look for `events` of a descriptor, and have `see` called with those that are there."""
        self._epoll.register(fd, events)
        self._seen_by[fd] = see

    def wake_for(self, fd: int) -> None:
        """Have `poll` return also when a descriptor is readable; the caller finds out by itself."""
        self.add(fd, IN, lambda _events, _ready: None)

    def change(self, fd: int, events: int) -> None:
        """Look for other events of a descriptor from now on."""
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Look for no events of a descriptor any more, not even its end."""
        self._epoll.unregister(fd)
        del self._seen_by[fd]

    def look_again(self, peer: Peer) -> None:
        """Have the next `poll` return the peer, as something of its next request is there already."""
        self._again.append(peer)

    def ask(self, fd: int, collect: Collect) -> None:
        """Have `collect` called before each wait, and when `fd` is readable: for what tells of news, and only once."""
        self._collectors.append(collect)
        self.add(fd, IN, lambda _events, ready: collect(ready))

    def ask_no_more(self, fd: int, collect: Collect) -> None:
        """Call `collect` no more."""
        self._collectors.remove(collect)
        self.remove(fd)

    def every(self, seconds: float, chore: Callable[[], None]) -> None:
        """Have `chore` called so often, as far as `poll` is."""
        self._chores.append((0.0, seconds, chore))
        self._due = 0.0

    def poll(self, timeout: float, *, spin: bool = False) -> list[Peer]:
        """Wait for up to `timeout` seconds, and return the peers to receive from.

        `spin` allows to look for requests for a moment without going to sleep.
        """
        now = time.monotonic()
        if now >= self._due:
            self._do_chores(now)
        ready, self._again = self._again, []
        for collect in self._collectors:
            collect(ready)
        seen_by = self._seen_by
        for fd, events in self._wait(0 if ready else timeout, now, spin=spin and self._active):
            if (see := seen_by.get(fd)) is not None:  # None: closed on account of one of the events before
                see(events, ready)
        if ready or timeout > 0:
            self._active = bool(ready)
        return ready

    def rest(self, timeout: float) -> list[Peer]:
        """Wait for up to `timeout` seconds for jobs that are done, and for no peers."""
        if select.select([self._wakeup.fd], [], [], timeout)[0]:
            self._wakeup.handle()
        return []

    def _wait(self, timeout: float, now: float, *, spin: bool) -> list[tuple[int, int]]:
        """Return the events of the next `timeout` seconds, from `now` on."""
        since = self._looked
        if spin and timeout > 0 and self._several_cores:
            until = now + _SPIN_SECONDS
            while now < until:
                if events := self._epoll.poll(0):
                    self.since, self._looked = since, now
                    return events
                since = now
                os.sched_yield()  # to whoever has something to do
                now = time.monotonic()
        events = self._epoll.poll(timeout)
        if timeout > 0:
            since = now = time.monotonic()
        self.since, self._looked = since, now
        return events

    def _do_chores(self, now: float) -> None:
        for number, (due, seconds, chore) in enumerate(self._chores):
            if now >= due:
                self._chores[number] = now + seconds, seconds, chore
                chore()
        self._due = min(due for due, _, _ in self._chores)

    def close(self) -> None:
        """Free the descriptor."""
        self._epoll.close()
