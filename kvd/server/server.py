"""The loop: requests in, groups of writes to the store and the disk, replies out.

One thread decides everything. A read is answered at once. A write waits in a queue; whatever is queued when the disk is
free becomes one group, with one commit and one sync, and its replies leave when that is done. So writes that arrive
together share the disk, reads do not wait for it (see `_BYSTANDER_SECONDS`), and no reply tells of anything that is not
durable.
"""

import bisect
import itertools
import logging
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from kvclient.contract.errors import DataStoreError, StoreCorruptError, StoreFullError
from kvclient.contract.messages import (
    BatchCreate,
    Compact,
    Create,
    Delete,
    Ping,
    Read,
    Request,
    Status,
    StatusDetails,
    requests,
)
from kvclient.contract.rules import invalid_value
from kvd.backend.file.engine.interface import EngineFailure
from kvd.backend.file.store import operations
from kvd.backend.file.store.operations import Operation
from kvd.backend.file.store.outcomes import Result
from kvd.backend.file.store.store import Group, Store
from kvd.server.connections import Connection, Connections
from kvd.server.replies import DONE, error_reply, invalid_request, ping_reply, read_reply, status_reply, write_reply
from kvd.server.upkeep import Upkeep
from kvd.server.worker import Wakeup, Worker

log = logging.getLogger(__name__)

_ROUND = 64
"""Requests received before the loop looks at anything else."""
_GROUP, _GROUP_BYTES = 256, 4 << 20
"""Operations in a group, and bytes of their requests, if they are more than one: so many writes share a commit."""
_MOST_QUEUED_BYTES = 64 << 20
"""With so much waiting for the disk nothing more is received: many peers send large batches."""
_SWEEP = operations.Sweep(200)
_SWEEP_RETRY_SECONDS = 1.0
_BYSTANDER_SECONDS = 1.0
"""So long after a read of one client among others, the committer waits for the disk instead of the loop …"""
_SLOW_DISK_SECONDS = 0.001
"""… and always where a sync takes so long. There writers that would take turns are brought together, too; see `_hold`.
Only writers on a fast disk, who wait for it anyway, are spared the time that a thread takes to wake up."""
_YIELD_SECONDS = 0.00005
"""A pause in which the committer, back from the disk, gets the interpreter lock. Every receive and poll gives the lock
up as well, but for too short a time for a thread that has to wake up, and each time that thread begins to wait anew: a
busy loop kept it waiting for a second."""
_HOUSEKEEPING_SECONDS = 0.002
"""Other things than receiving are done so often at least, however many requests there are."""

_parse = requests.validator.validate_json

Member = tuple[Connection | None, Operation, int]
"""Who asked for it, None for the daemon itself; what for; the bytes of the request."""


class Server:
    """Serves a store to all connections until `stop` is called or the engine fails."""

    def __init__(
        self,
        connections: Connections,
        store: Store,
        upkeep: Upkeep,
        *,
        wakeup: Wakeup,
        committer: Worker,
        waits_for_disk: bool,
        describe: Callable[[], StatusDetails],
    ) -> None:
        """`waits_for_disk` tells whether a write may take the disk's time, as with sync=always."""
        self._connections = connections
        self._store = store
        self._upkeep = upkeep
        self._wakeup = wakeup
        self._committer = committer
        self._describe = describe
        self._waits_for_disk = waits_for_disk
        self._queue: list[Member] = []
        self._group: Group | None = None
        self._members: list[Member] = []
        self._stopping = False
        self._sweep_at = 0.0  # on the monotonic clock: the other one may be set back
        self._sweep_queued = False
        self._last_peer: Connection | None = None
        self._bystanders_until = 0.0
        self._queued_bytes = 0
        self._write_seconds = math.inf
        self._writers: set[Connection] = set()
        self._expected = 0
        self._hold_until = 0.0

    def stop(self) -> None:
        """Have `run` return once every request that was received is answered. Callable from a signal handler."""
        self._stopping = True
        self._wakeup.set()

    def run(self) -> None:
        """Serve. Raises `EngineFailure` if the data file may not be written any more."""
        timeout, received, housekeep_by = 0.0, 0, 0.0
        while not self._stopping or self._queue or self._group:
            wanted = self._queued_bytes < _MOST_QUEUED_BYTES and not self._stopping
            peers = self._connections.poll(timeout, requests=wanted, spin=self._group is None)
            for peer in peers:
                self._receive(peer)
            received += len(peers)
            if peers and received < _ROUND and time.monotonic() < housekeep_by:
                if not self._queue:
                    continue
                if self._waits_for_disk:
                    timeout = 0.0  # see who else writes before the disk is asked
                    continue
            if peers and self._group is not None:
                time.sleep(_YIELD_SECONDS)
            received = 0
            self._keep_house()
            timeout = self._timeout()
            housekeep_by = time.monotonic() + _HOUSEKEEPING_SECONDS

    def _keep_house(self) -> None:
        """Do all that is not receiving: upkeep, sweeping, committing."""
        self._upkeep.look(committing=self._group is not None)
        self._queue_sweep()
        self._commit()
        self._upkeep.step(committing=self._group is not None)  # behind the commit, or while the disk is at it
        if self._upkeep.failure is not None:
            raise self._upkeep.failure

    def _timeout(self) -> float:
        if self._queue and self._group is None and not self._upkeep.compacting:
            return max(0.0, self._hold_until - time.monotonic()) if len(self._queue) < self._expected else 0.0
        timeout = max(0.0, self._upkeep.due_at - time.monotonic())
        if self._group is not None:
            timeout = max(timeout, _YIELD_SECONDS)
        due = self._store.next_expiry()
        if due is not None and not self._sweep_queued:
            timeout = min(timeout, max(0.0, due - time.time(), self._sweep_at - time.monotonic()))
        return timeout

    # Requests.

    def _receive(self, peer: Connection) -> None:
        """Receive a request and answer or queue it."""
        try:
            body = peer.receive()
            if body is None:
                return
            operation = self._handle(peer, _parse(body))
            if operation is not None:
                self._queue.append((peer, operation, len(body)))
                self._queued_bytes += len(body)
            self._last_peer = peer
        except ValidationError as error:
            self._refuse(peer, invalid_request(error))
        except DataStoreError as error:
            self._refuse(peer, error)

    def _handle(self, peer: Connection, request: Request) -> Operation | None:
        """Answer a request, unless it is an operation that has to be queued."""
        match request:
            case Read():
                if peer is not self._last_peer:
                    self._bystanders_until = time.monotonic() + _BYSTANDER_SECONDS
                value, entry = self._store.read(request.key)
                peer.reply(read_reply(value, entry))
            case Create():
                return operations.Create({request.key: _encode(request.value, request.key)}, request.ttl, request.id)
            case Delete():
                return operations.Delete(request.key, request.id)
            case BatchCreate():
                return operations.Create(_encode_all(request.items), request.ttl, request.id)
            case Ping():
                peer.reply(ping_reply(self._upkeep.refusing))
            case Status():
                peer.reply(status_reply(self._describe()))
            case Compact() if self._upkeep.interference is not None:
                self._refuse(peer, self._upkeep.interference)
            case Compact():
                self._upkeep.start_compaction()
                peer.reply(DONE)
            case _:
                log.info("asked to stop")
                peer.reply(DONE)
                self._stopping = True
        return None

    def _answer(self, peer: Connection | None, result: Result) -> None:
        if not isinstance(result, int):
            self._refuse(peer, result)
        elif peer is not None:
            peer.reply(write_reply(result))

    def _refuse(self, peer: Connection | None, error: DataStoreError) -> None:
        log.debug("refused: %s: %s", type(error).__name__, error)
        if peer is not None:
            peer.reply(error_reply(error))

    # Writes.

    def _queue_sweep(self) -> None:
        if self._sweep_queued or self._stopping:
            return
        due = self._store.next_expiry()
        if due is not None and due <= time.time() and self._sweep_at <= time.monotonic():
            self._sweep_queued = True
            self._queue.append((None, _SWEEP, 0))

    def _commit(self) -> None:
        """Make what is queued the next group, if the disk is free."""
        while self._queue and self._group is None and not self._upkeep.wants_commits_held:
            if len(self._queue) < self._expected and time.monotonic() < self._hold_until:
                return
            if self._upkeep.interference is not None:
                self._refuse_all(self._upkeep.interference)
                return
            group = self._store.decide([operation for _, operation, _ in self._next_members()])
            if not group.results:
                self._upkeep.start_compaction()
                return
            self._group, self._members = group, self._take(len(group.results))
            # On a fast disk, and without somebody who only reads, a thread's wake-up would take half as long as a sync.
            beside = self._write_seconds >= _SLOW_DISK_SECONDS or time.monotonic() < self._bystanders_until
            if group.staged is not None and beside and self._waits_for_disk:
                self._committer.submit(partial(self._write, group), self._written_beside)
                return
            error: Exception | None = None
            try:
                self._write(group)
            except Exception as caught:  # noqa: BLE001  # handled as one that the committer returns
                error = caught
            self._written(error)

    def _write(self, group: Group) -> None:
        started = time.monotonic()
        try:
            self._store.write(group)
        finally:
            self._write_seconds = time.monotonic() - started

    def _next_members(self) -> list[Member]:
        """Return what is first in the queue, as much as should share a commit."""
        if len(self._queue) <= _GROUP and self._queued_bytes <= _GROUP_BYTES:
            return self._queue
        sizes = itertools.accumulate(size for _, _, size in self._queue[:_GROUP])
        return self._queue[: max(1, bisect.bisect(list(sizes), _GROUP_BYTES))]

    def _take(self, count: int) -> list[Member]:
        """Remove and return the first `count` in the queue."""
        if count == len(self._queue):
            taken, self._queue, self._queued_bytes = self._queue, [], 0
        else:
            taken, self._queue = self._queue[:count], self._queue[count:]
            self._queued_bytes -= sum(size for _, _, size in taken)
        return taken

    def _written_beside(self, error: BaseException | None) -> None:
        self._hold(time.monotonic())
        self._written(error)

    def _hold(self, now: float) -> None:
        """On a slow disk, hold the next group back a little, until all are there that wrote in the last two groups.

        Writers whose replies left with one group come back just after the next has started. So they would go on in two
        halves that take turns, each waiting for the other's sync. A quarter of a sync is enough for them to come back.
        """
        seconds = self._write_seconds
        if seconds < _SLOW_DISK_SECONDS:
            self._expected = 0
            return
        before, self._writers = self._writers, {peer for peer, _, _ in self._members if peer}
        self._expected = len(before | self._writers)
        self._hold_until = now + seconds / 4

    def _written(self, error: BaseException | None) -> None:
        """Reply to the members of the group that was written."""
        group, members = self._group, self._members
        assert group is not None
        self._group, self._members = None, []
        if self._sweep_queued and any(isinstance(operation, operations.Sweep) for _, operation, _ in members):
            self._sweep_queued = False
            if error is not None or group.sweep_waits:
                self._sweep_at = time.monotonic() + _SWEEP_RETRY_SECONDS
        if error is not None:
            self._failed(group, members, error)
            return
        for (peer, _, _), result in zip(members, group.results, strict=True):
            self._answer(peer, result)
        # Before anything else is received, and while the clients wake up.
        self._store.finish(group)

    def _failed(self, group: Group, members: list[Member], error: BaseException) -> None:
        self._store.fail(group)
        match error:
            case StoreCorruptError():
                self._upkeep.interfered(error)
                error = self._upkeep.interference or error
            case StoreFullError():
                log.warning("%s", error)
                removals = [member for member in members if not isinstance(member[1], operations.Create)]
                if len(removals) < len(members):  # they may fit where the others did not
                    members = [member for member in members if isinstance(member[1], operations.Create)]
                    self._queue[:0] = removals
                    self._sweep_queued = any(isinstance(operation, operations.Sweep) for _, operation, _ in removals)
                    self._queued_bytes += sum(size for _, _, size in removals)
            case EngineFailure():
                self._upkeep.failure = error
                error = DataStoreError(f"{error} Whether this operation was carried out is uncertain.")
            case _:
                raise error
        self._refuse_members(members, error)

    def _refuse_all(self, error: DataStoreError) -> None:
        refused = self._take(len(self._queue))
        self._sweep_queued = False
        self._sweep_at = time.monotonic() + _SWEEP_RETRY_SECONDS
        self._refuse_members(refused, error)

    def _refuse_members(self, members: list[Member], error: DataStoreError) -> None:
        """Refuse what could not be written. What was carried out before, and is only asked again, is answered so."""
        for peer, operation, _ in members:
            outcome = self._store.recall(operation)
            self._answer(peer, error if outcome is None else outcome)


def _encode(value: object, key: str) -> bytes:
    """Return the value of a request as compact JSON."""
    text = to_json(value)
    if b"NaN" in text or b"Infinity" in text:
        _check_finite(value, key)
    return text


def _encode_all(items: dict[str, Any]) -> dict[str, bytes]:
    """Return the values of a batch as compact JSON, by key; all are looked through at once, which is faster."""
    encoded = {key: to_json(value) for key, value in items.items()}
    text = b"".join(encoded.values())
    if b"NaN" in text or b"Infinity" in text:
        for key, value in items.items():
            _check_finite(value, key)
    return encoded


def _check_finite(value: object, key: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise invalid_value(f"a number in it is {value!r}, or too large for a double", key)
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_finite(part, key)
