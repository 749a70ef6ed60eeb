"""The loop: one thread that receives, has carried out, and sees to it that nobody waits for anybody without need."""

import logging
import time

from kvd.backend import Backend
from kvd.server.dispatch import Dispatch
from kvd.server.poller import Poller
from kvd.watch.hub import Hub
from kvd.worker import Wakeup

log = logging.getLogger(__name__)

_ROUND = 64
"""Requests received before the loop looks at anything else."""
_YIELD_SECONDS = 0.00005
"""A pause in which a thread, back from the disk, gets the interpreter lock. Every receive and poll gives the lock up as
well, but for too short a time for a thread that has to wake up, and each time that thread begins to wait anew: a busy
loop kept it waiting for a second."""
_HOUSEKEEPING_SECONDS = 0.002
"""Other things than receiving are done so often at least, however many requests there are."""


class Server:
    """Serves a backend to all peers until `stop` is called or the backend fails."""

    def __init__(self, poller: Poller, backend: Backend, hub: Hub, wakeup: Wakeup) -> None:
        self._poller = poller
        self._backend = backend
        self._hub = hub
        self._wakeup = wakeup
        self._stopping = False

    def stop(self) -> None:
        """Have `run` return once every request that was received is answered. Callable from a signal handler."""
        self._stopping = True
        self._wakeup.set()

    def run(self, dispatch: Dispatch) -> None:  # noqa: C901  # in one piece, as each request goes through it
        """Serve. Raises the failure of a backend that cannot go on."""
        backend, poller = self._backend, self._poller
        timeout, received, housekeep_by, since, now = 0.0, 0, 0.0, 0.0, 0.0
        while not self._stopping or backend.unfinished or dispatch.large:
            if backend.accepts and not self._stopping:
                peers = poller.poll(timeout, spin=not backend.busy)
            else:
                peers = poller.rest(timeout)
            if peers:
                for peer in peers:
                    dispatch.receive(peer)
                since, now = poller.since, time.monotonic()
                received += len(peers)
                if received < _ROUND and now < housekeep_by:
                    if not backend.queued and not dispatch.large:
                        continue
                    if backend.gathering:
                        timeout = 0.0  # see who else writes before the disk is asked
                        continue
                if backend.busy:
                    time.sleep(_YIELD_SECONDS)
            received = 0
            backend.answered(now - since)
            if dispatch.large:
                dispatch.work()
            timeout = min(backend.work(stopping=self._stopping), self._hub.work())
            if dispatch.large:
                timeout = 0.0
            housekeep_by = time.monotonic() + _HOUSEKEEPING_SECONDS
        self._hub.close()
