"""The loop: requests in, groups of writes to the store and the disk, replies out.

One thread decides everything. A read is answered at once. A write waits in a queue; whatever is queued when the disk is
free becomes one group, with one commit and one sync, and its replies leave when that is done. So reads never wait for
the disk, writes that arrive together share it, and no reply tells of anything that is not durable.
"""

import logging
import math
import time
from collections.abc import Callable
from functools import partial

import zmq
from pydantic import ValidationError
from pydantic_core import to_json

from kvclient.errors import DataStoreError, RequestError, StoreCorruptError, StoreFullError
from kvclient.messages import BatchCreate, Compact, Create, Delete, Ping, Read, Request, Status, StatusDetails, requests
from kvclient.rules import invalid_value
from kvd.engine import EngineFailure
from kvd.server.replies import DONE, error_reply, invalid_request, read_reply, status_reply, write_reply
from kvd.server.upkeep import Upkeep
from kvd.server.worker import Wakeup, Worker
from kvd.store import operations
from kvd.store.operations import Operation
from kvd.store.store import Group, Store

log = logging.getLogger(__name__)

_ROUND = 64
"""Requests received before the loop looks at anything else."""
_GROUP = 256
"""Operations in a group: so many clients' writes share a commit."""
_MOST_QUEUED_BYTES = 64 << 20
"""With so much waiting for the disk nothing more is received: somebody sends without waiting for replies."""
_SWEEP = operations.Sweep(500)
_SWEEP_RETRY_SECONDS = 1.0
_SHARED_SECONDS = 1.0
"""So long after a request of somebody else a client counts as not alone."""
_SLOW_DISK_SECONDS = 0.001
"""From so long a sync on, writers that would take turns are brought together; see `_hold`."""
_YIELD_SECONDS = 0.00005
"""A pause in which the committer, back from the disk, gets the interpreter lock. Every receive and poll gives the lock
up as well, but for too short a time for a thread that has to wake up, and each time that thread begins to wait anew: a
busy loop kept it waiting for a second."""
_HOUSEKEEPING_SECONDS = 0.002
"""Other things than receiving are done so often at least, however many requests there are."""

_parse = requests.validator.validate_json
_NOBLOCK, _NOBLOCK_MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)
_NOBODY = b""
"""The peer of what the daemon does on its own account."""


class Server:
    """Serves a store on a ROUTER socket until `stop` is called or the engine fails."""

    def __init__(
        self,
        socket: "zmq.Socket[bytes]",
        store: Store,
        upkeep: Upkeep,
        *,
        wakeup: Wakeup,
        committer: Worker,
        waits_for_disk: bool,
        describe: Callable[[], StatusDetails],
    ) -> None:
        """`waits_for_disk` tells whether a write may take the disk's time, as with sync=always."""
        self._socket = socket
        self._store = store
        self._upkeep = upkeep
        self._wakeup = wakeup
        self._committer = committer
        self._waits_for_disk = waits_for_disk
        self._describe = describe
        self._queue: list[tuple[bytes, Operation]] = []
        self._group: Group | None = None
        self._members: list[tuple[bytes, Operation]] = []
        self._stopping = False
        self._sweep_at = 0.0
        self._sweep_queued = False
        self._last_peer = b""
        self._shared_until = 0.0
        self._queued_bytes = 0
        self._submitted_at = 0.0
        self._writers: set[bytes] = set()
        self._expected = 0
        self._hold_until = 0.0

    def stop(self) -> None:
        """Have `run` return once every request that was received is answered. Callable from a signal handler."""
        self._stopping = True
        self._wakeup.set()

    def run(self) -> None:
        """Serve. Raises `EngineFailure` if the data file may not be written any more."""
        everything, no_requests = zmq.Poller(), zmq.Poller()
        everything.register(self._socket, zmq.POLLIN)
        for poller in everything, no_requests:
            poller.register(self._wakeup.fd, zmq.POLLIN)
        timeout = received = 0
        housekeep_by = 0.0
        while not self._stopping or self._queue or self._group:
            only_requests = True
            # What is not received waits with its sender: libzmq holds so much of it, and then the sender is held.
            poller = everything if self._queued_bytes < _MOST_QUEUED_BYTES else no_requests
            events = poller.poll(timeout)
            for ready, _ in events:
                if ready == self._wakeup.fd:
                    only_requests = False
                    self._wakeup.handle()
                elif not self._stopping:
                    received += 1
                    self._receive()
            if events and only_requests and received < _ROUND and time.monotonic() < housekeep_by:
                if self._queue:
                    timeout = 0  # see who else writes before the disk is asked
                continue
            if events and only_requests and self._group is not None:
                time.sleep(_YIELD_SECONDS)
            received = 0
            self._keep_house()
            timeout = math.ceil(self._timeout() * 1000)
            housekeep_by = time.monotonic() + _HOUSEKEEPING_SECONDS

    def _keep_house(self) -> None:
        """Do all that is not receiving: upkeep, sweeping, committing."""
        if time.monotonic() >= self._upkeep.due_at:
            self._upkeep.step(committing=self._group is not None)
        self._queue_sweep()
        self._commit()
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
            now = time.time()
            timeout = min(timeout, max(0.0, due - now, self._sweep_at - now))
        return timeout

    # Requests.

    def _receive(self) -> None:
        """Receive a request and answer or queue it."""
        # Frame by frame takes half as long as recv_multipart. A ROUTER puts the peer's address in front.
        receive = self._socket.recv
        try:
            peer = receive(_NOBLOCK)
        except zmq.Again:  # it was no whole message
            return
        delimiter = receive(0, copy=False)
        body = receive(0, copy=False) if delimiter.more else None
        if peer != self._last_peer:
            self._last_peer = peer
            self._shared_until = time.monotonic() + _SHARED_SECONDS
        if body is None or body.more or len(delimiter):
            self._refuse_frames(peer, delimiter, body)
            return
        try:
            self._handle(peer, _parse(body.bytes))
            if self._queue:
                self._queued_bytes += len(body)
        except ValidationError as error:
            self._refuse(peer, invalid_request(error))
        except DataStoreError as error:
            self._refuse(peer, error)

    def _refuse_frames(self, peer: bytes, *frames: zmq.Frame | None) -> None:
        """Answer a message that is not an empty frame and a request behind it, as the peer would expect an answer."""
        count = sum(frame is not None for frame in frames)
        last = next(frame for frame in reversed(frames) if frame is not None)
        while last.more:
            last = self._socket.recv(copy=False)
            count += 1
        error = RequestError(f"A request is a single frame behind an empty one; this message had {count} frames.")
        if frames[0] is not None and len(frames[0]):  # no REQ socket: it expects no empty frame either
            self._socket.send_multipart([peer, error_reply(error)], zmq.NOBLOCK)
        else:
            self._refuse(peer, error)

    def _handle(self, peer: bytes, request: Request) -> None:
        match request:
            case Read():
                value, entry = self._store.read(request.key)
                self._reply(peer, read_reply(value, entry))
            case Create():
                items = {request.key: _json(request.value, request.key)}
                self._queue.append((peer, operations.Create(items, request.ttl, request.id)))
            case Delete():
                self._queue.append((peer, operations.Delete(request.key, request.id)))
            case BatchCreate():
                items = {key: _json(value, key) for key, value in request.items.items()}
                self._queue.append((peer, operations.Create(items, request.ttl, request.id)))
            case Ping():
                self._reply(peer, DONE)
            case Status():
                self._reply(peer, status_reply(self._describe()))
            case Compact():
                self._upkeep.start_compaction()
                self._reply(peer, DONE)
            case _:
                log.info("asked to stop")
                self._reply(peer, DONE)
                self._stopping = True

    def _refuse(self, peer: bytes, error: DataStoreError) -> None:
        log.debug("refused: %s: %s", type(error).__name__, error)
        self._reply(peer, error_reply(error))

    def _reply(self, peer: bytes, reply: bytes) -> None:
        if peer:
            send = self._socket.send
            send(peer, _NOBLOCK_MORE)
            send(b"", _NOBLOCK_MORE)
            send(reply, _NOBLOCK)

    # Writes.

    def _queue_sweep(self) -> None:
        due = self._store.next_expiry()
        now = time.time()
        if due is not None and due <= now and now >= self._sweep_at and not self._sweep_queued and not self._stopping:
            self._sweep_queued = True
            self._queue.append((_NOBODY, _SWEEP))

    def _commit(self) -> None:
        """Make what is queued the next group, if the disk is free."""
        while self._queue and self._group is None and not self._upkeep.wants_commits_held:
            if len(self._queue) < self._expected and time.monotonic() < self._hold_until:
                return
            if self._upkeep.interference is not None:
                self._refuse_all(self._upkeep.interference)
                return
            members = self._queue[:_GROUP]
            group = self._store.decide([operation for _, operation in members])
            decided = len(group.results)
            if decided == 0 and not self._make_room():
                return
            self._group, self._members = group, members[:decided]
            del self._queue[:decided]
            if not self._queue:
                self._queued_bytes = 0
            if group.staged is not None and self._waits_for_disk and time.monotonic() < self._shared_until:
                self._submitted_at = time.monotonic()
                self._committer.submit(partial(self._store.write, group), self._written_beside)
            else:
                # Nobody else would be served meanwhile, and a thread's wake-up takes half as long as a sync.
                self._written(_attempt(partial(self._store.write, group)))

    def _make_room(self) -> bool:
        """Have a compaction make room for the first in the queue; False while it has to wait for that."""
        if self._upkeep.compaction_failed:
            peer, _ = self._queue.pop(0)
            self._refuse(
                peer, StoreFullError("The data file is full, and could not be compacted. Nothing was changed.")
            )
            return True
        self._upkeep.start_compaction()
        return False

    def _written_beside(self, error: BaseException | None) -> None:
        self._hold(time.monotonic())
        self._written(error)

    def _hold(self, now: float) -> None:
        """On a slow disk, hold the next group back a little, until all are there that wrote in the last two groups.

        Writers whose replies left with one group come back just after the next has started. So they would go on in two
        halves that take turns, each waiting for the other's sync. A quarter of a sync is enough for them to come back.
        """
        seconds = now - self._submitted_at
        if seconds < _SLOW_DISK_SECONDS:
            self._expected = 0
            return
        before, self._writers = self._writers, {peer for peer, _ in self._members if peer}
        self._expected = len(before | self._writers)
        self._hold_until = now + seconds / 4

    def _written(self, error: BaseException | None) -> None:
        """Reply to the members of the group that was written."""
        group, members = self._group, self._members
        assert group is not None
        self._group, self._members = None, []
        if any(isinstance(operation, operations.Sweep) for _, operation in members):
            self._sweep_queued = False
            if not group.swept:
                self._sweep_at = time.time() + _SWEEP_RETRY_SECONDS
        if error is not None:
            self._failed(group, members, error)
            return
        self._store.finish(group)
        for (peer, _), result in zip(members, group.results, strict=True):
            if isinstance(result, int):
                self._reply(peer, write_reply(result))
            else:
                self._refuse(peer, result)

    def _failed(self, group: Group, members: list[tuple[bytes, Operation]], error: BaseException) -> None:
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
            case EngineFailure():
                self._upkeep.failure = error
                error = DataStoreError(f"{error} Whether this operation was carried out is uncertain.")
            case _:
                raise error
        for peer, _ in members:
            self._refuse(peer, error)

    def _refuse_all(self, error: DataStoreError) -> None:
        queue, self._queue, self._queued_bytes = self._queue, [], 0
        self._sweep_queued = False
        self._sweep_at = time.time() + _SWEEP_RETRY_SECONDS
        for peer, _ in queue:
            self._refuse(peer, error)


def _json(value: object, key: str) -> bytes:
    """Return a value that came as JSON as compact JSON."""
    encoded = to_json(value)
    if b"NaN" in encoded or b"Infinity" in encoded:
        _check_finite(value, key)
    return encoded


def _check_finite(value: object, key: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise invalid_value(f"a number in it is {value!r}, or too large for a double", key)
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_finite(part, key)


def _attempt(call: Callable[[], None]) -> BaseException | None:
    try:
        call()
    except Exception as error:  # noqa: BLE001  # handled as one that a worker returns
        return error
    return None
