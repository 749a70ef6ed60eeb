"""Ephemeral keys: which process each is bound to, and which of these processes have ended. Follows the commits.

The kernel tells of a process's end: a pidfd becomes readable (pidfd_open(2)). A pid alone says nothing, as it is used
again; with the start time and the boot it names one process for ever.
"""

import logging
import os
import select
import time
from collections.abc import Iterable

from kvd.backend.asking import Owner
from kvd.backend.file.engine.interface import Put
from kvd.backend.file.store.committed import Committed
from kvd.processes import is_alive

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
"""So often it is tried again to watch a process for which there was no descriptor."""


class Owners:
    """Who has which ephemeral keys."""

    def __init__(self, owned: Iterable[tuple[str, Owner]]) -> None:
        self._poll = select.epoll()
        self.fd = self._poll.fileno()
        """Becomes readable when a process has ended."""
        self._owners: dict[str, Owner] = {}
        self._keys: dict[Owner, set[str]] = {}
        self._pidfds: dict[Owner, int] = {}
        self._watched: dict[int, Owner] = {}
        self._ended: dict[Owner, None] = {}
        self._unwatched: dict[Owner, None] = {}
        self._look_at = 0.0
        for key, owner in owned:
            self._add(key, owner)

    def __len__(self) -> int:
        """Return the number of ephemeral keys."""
        return len(self._owners)

    def of(self, key: str) -> Owner | None:
        """Return the process that a key is bound to."""
        return self._owners.get(key) if self._owners else None

    def keys_of(self, owner: Owner) -> list[str]:
        """Return the keys that are bound to a process."""
        return sorted(self._keys.get(owner, ()))

    def follow(self, committed: Committed) -> None:
        """Take over what a commit changed."""
        for key, new in committed.news:
            owner = new.owner if type(new) is Put else None
            if owner is not None or key in self._owners:
                self._remove(key)
                if owner is not None:
                    self._add(key, owner)

    def ended(self) -> list[Owner]:
        """Return the processes that have ended and still have keys."""
        for fd, _ in self._poll.poll(0) if self._watched else ():
            owner = self._watched[fd]
            self._unwatch(owner)
            self._ended[owner] = None
        if self._unwatched and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            unwatched, self._unwatched = self._unwatched, {}
            for owner in unwatched:
                self._watch(owner)
        self._ended = {owner: None for owner in self._ended if owner in self._keys}
        return list(self._ended)

    def _add(self, key: str, owner: Owner) -> None:
        self._owners[key] = owner
        keys = self._keys.get(owner)
        if keys is None:
            keys = self._keys[owner] = set()
            self._watch(owner)
        keys.add(key)

    def _remove(self, key: str) -> None:
        owner = self._owners.pop(key, None)
        if owner is None:
            return
        keys = self._keys[owner]
        keys.discard(key)
        if not keys:
            del self._keys[owner]
            self._unwatch(owner)

    def _watch(self, owner: Owner) -> None:
        try:
            pidfd = os.pidfd_open(owner.pid)
        except ProcessLookupError:
            self._ended[owner] = None
            return
        except OSError:  # no more descriptors, say
            self._unwatched[owner] = None
            return
        # Looked at behind pidfd_open: the pid was used again before it, or not at all.
        state = self._ended
        try:
            if is_alive(owner):
                self._poll.register(pidfd, select.EPOLLIN)
                self._pidfds[owner], self._watched[pidfd] = pidfd, owner
                return
        except OSError:
            state = self._unwatched
        os.close(pidfd)
        state[owner] = None

    def _unwatch(self, owner: Owner) -> None:
        self._unwatched.pop(owner, None)
        pidfd = self._pidfds.pop(owner, None)
        if pidfd is not None:
            del self._watched[pidfd]
            os.close(pidfd)

    def close(self) -> None:
        """Free all descriptors."""
        for pidfd in self._pidfds.values():
            os.close(pidfd)
        self._pidfds.clear()
        self._poll.close()
