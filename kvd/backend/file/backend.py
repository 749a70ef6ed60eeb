"""The JSON file behind the seam: reads at once, changes in groups, upkeep in between.

A read is answered at once. A change waits in a queue; whatever is queued when the disk is free becomes one group, with
one commit and one sync, and its replies leave when that is done. So changes that arrive together share the disk, reads
do not wait for it (see `_BYSTANDER_SECONDS`), and no reply tells of anything that is not durable.
"""

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from kvclient.contract.errors import DataStoreError, KeyNotFoundError, StoreFullError
from kvclient.contract.operations import OPERATIONS
from kvd.backend.asking import Asker
from kvd.backend.feed import Source
from kvd.backend.file.chores import Chores
from kvd.backend.file.committer import Committer, Note
from kvd.backend.file.description import describe, statistics
from kvd.backend.file.engine.file import JsonFile
from kvd.backend.file.events import FileEvents
from kvd.backend.file.health import Health
from kvd.backend.file.store.operations import READS
from kvd.backend.file.store.replies import Steps
from kvd.backend.file.store.store import Group, Store
from kvd.backend.file.upkeep import Upkeep
from kvd.histogram import Histogram
from kvd.limits import CompactWhen, Limits
from kvd.worker import Wakeup, Worker

_MOST_QUEUED_BYTES = 64 << 20
"""With so much waiting for the disk nothing more is received: many peers send large batches."""
_BYSTANDER_SECONDS = 1.0
"""For so long after a bystander has read, the committer's thread waits for the disk instead of the loop. Only writers
on a fast disk, who wait for it anyway, are spared the time that a thread takes to wake up."""
_BYSTANDER_READS = 3
"""A bystander is a client among others that has read more often than this since its last change. A queue's worker,
which looks for its next job in between, is none."""
_SLOW_DISK_SECONDS = 0.001
"""Where a sync takes so long the thread always waits, and writers that would take turns are brought together; see
`_hold`."""
_YIELD_SECONDS = 0.00005
"""The least time to poll for while the committer's thread is at the disk."""
_MEMBER_BYTES = 400
"""What a member of a batch costs, in bytes of a request that cost as much."""
_BATCHES = {op for op, model in OPERATIONS.items() if model.concerns in ("items", "operations", "keys")}


class FileBackend:
    """A store in one JSON file, for the loop of a daemon. See `kvd.backend.Backend`."""

    def __init__(
        self,
        engine: JsonFile,
        limits: Limits,
        compact_when: CompactWhen,
        wakeup: Wakeup,
        *,
        sync: str,
        beat: Callable[[], None] = lambda: None,
        note: Note | None = None,
    ) -> None:
        """`wakeup` calls, in the loop, what is to be done when a thread is back from the disk; `beat` is called twice a
        second at least, and `note` with every change that was committed.
        """
        self._engine = engine
        self._store = Store(engine, limits, compact_when=compact_when)
        self._sync = sync
        self._waits_for_disk = sync == "always"
        self._health = Health(engine, "Put the right file in place and restart the daemon.", beat)
        self._committer = Committer(self._store, self._health, note)
        self.events: Source = FileEvents(self._store)
        self.fd = self._store.keys.owners.fd
        self._wakeup = wakeup
        self._writer, self._helper = Worker("kvd-committer", wakeup), Worker("kvd-helper", wakeup)
        self._chores = Chores(self._store, self._committer)
        self._upkeep = Upkeep(
            self._store,
            self._health,
            self._helper,
            sync_in_intervals=sync == "interval",
            beat=beat,
        )
        self._keys = self._store.keys
        self._reads = self._timed_reads = 0
        self._read_latency = Histogram()
        self._misses = 0
        """Reads of keys that were not there."""
        self._later: deque[tuple[Steps, Asker]] = deque()
        self._last_asker: Asker | None = None
        self._bystanders_until = 0.0
        self._writers: set[Asker] = set()
        self._expected = 0
        self._hold_until = 0.0

    @property
    def refusing(self) -> Exception | None:
        return self._health.refusing

    # Requests.

    def read(self, request: Any, asker: Asker, size: int) -> None:  # noqa: ARG002
        if asker is not self._last_asker:
            if asker.reads >= _BYSTANDER_READS:
                self._bystanders_until = time.monotonic() + _BYSTANDER_SECONDS
            self._last_asker = asker
        asker.reads += 1
        self._reads += 1
        try:
            answer = READS[request.op](self._keys, request)
        except KeyNotFoundError:
            self._misses += 1
            raise
        if isinstance(answer, bytes):
            asker.reply(answer)
        elif not self._step(answer, asker):
            self._later.append((answer, asker))

    def submit(self, request: Any, asker: Asker, size: int) -> None:
        self._last_asker = asker
        asker.reads = 0
        if request.op in _BATCHES:
            size += _MEMBER_BYTES * len(getattr(request, OPERATIONS[request.op].concerns))
        self._committer.add(asker, request, size)

    def compact(self) -> None:
        if self._health.refusing is not None:
            raise self._health.refusing
        self._upkeep.start_compaction()

    def answered(self, seconds: float) -> None:
        if reads := self._reads - self._timed_reads:
            self._read_latency.add(seconds, reads)
            self._timed_reads = self._reads

    def _step(self, steps: Steps, asker: Asker) -> bool:
        """Go a step further with an answer; tell whether that was the last."""
        try:
            next(steps)
        except StopIteration as end:
            asker.reply(end.value)
        except DataStoreError as error:
            asker.refuse(error)
        else:
            return False
        return True

    # For the loop.

    @property
    def accepts(self) -> bool:
        return self._committer.queued_bytes < _MOST_QUEUED_BYTES

    @property
    def busy(self) -> bool:
        return self._committer.group is not None

    @property
    def queued(self) -> bool:
        return self._committer.waiting

    @property
    def gathering(self) -> bool:
        return self._waits_for_disk and bool(self._committer.queue)

    @property
    def unfinished(self) -> bool:
        return bool(self._committer.committing or self._committer.queue or self._later)

    def work(self, *, stopping: bool) -> float:
        committer, upkeep = self._committer, self._upkeep
        now = time.monotonic()
        if upkeep.next_look <= now:
            upkeep.look(committing=committer.committing)
            committer.fold()
        if self._later:
            self._go_on_reading()
        if committer.waiting:
            self._commit(now)
        if upkeep.compacting:
            upkeep.step(committing=committer.committing)  # behind the commit, or while the disk is at it
        if self._health.failure is not None:
            raise self._health.failure
        if not stopping:
            return self._timeout(self._chores.queue())
        if not committer.waiting and not self._later:
            return self._timeout(None)
        # What is to be answered before the end may wait for a chore.
        chores_in = self._chores.queue()
        if self._chores.stuck and not committer.committing:
            self._refuse_what_waits()
        return self._timeout(chores_in)

    def _refuse_what_waits(self) -> None:
        """At the end, and where the disk is full: refuse what waits until something is written that cannot be."""
        error = StoreFullError(
            "kvd is stopping, and this waits for what the full disk does not take. Nothing was changed."
        )
        self._committer.refuse_all(error)
        while self._later:
            self._later.popleft()[1].refuse(error)

    def _go_on_reading(self) -> None:
        for _ in range(len(self._later)):
            steps, asker = self._later.popleft()
            if not self._step(steps, asker):
                self._later.append((steps, asker))

    def _timeout(self, chores_in: float | None) -> float:
        """Return in how many seconds there is something to do, given when the next chore is due."""
        committer, upkeep = self._committer, self._upkeep
        busy = committer.group is not None
        if self._later or committer.deciding is not None:
            return _YIELD_SECONDS if busy else 0.0
        if committer.queue and not busy and not upkeep.compacting:
            if len(committer.queue) >= self._expected:
                return 0.0
            return max(0.0, self._hold_until - time.monotonic())
        timeout = 0.0 if upkeep.waits_for_loop else max(0.0, upkeep.next_look - time.monotonic())
        if chores_in is not None and chores_in < timeout:
            timeout = chores_in
        return max(timeout, _YIELD_SECONDS) if busy else timeout

    # Commits.

    def _commit(self, now: float) -> None:
        """Make what is queued the next group, if the disk is free."""
        committer = self._committer
        while (committer.queue or committer.deciding is not None) and committer.group is None:
            if committer.deciding is None and self._is_held():
                return
            group = committer.begin()
            if committer.deciding is not None:
                return  # to who waits for less
            if group is None:
                if committer.needs_room:
                    self._upkeep.start_compaction()
                return
            # On a fast disk, and without somebody who only reads, a thread's wake-up would take half as long as a sync.
            beside = committer.write_seconds >= _SLOW_DISK_SECONDS or now < self._bystanders_until
            if group.staged is not None and beside and self._waits_for_disk:
                self._writer.submit(partial(committer.write, group), self._written_beside)
                return
            self._write_here(group)
            if self._later or self._health.failure is not None:
                return

    def _is_held(self) -> bool:
        """Tell whether the next group has to wait, for a step of a compaction or for those who will share it."""
        if self._upkeep.wants_commits_held:
            return True
        return len(self._committer.queue) < self._expected and time.monotonic() < self._hold_until

    def _write_here(self, group: Group) -> None:
        error: Exception | None = None
        try:
            self._committer.write(group)
        except Exception as caught:  # noqa: BLE001  # `end` decides what it means
            error = caught
        self._committer.end(error)

    def _written_beside(self, error: BaseException | None) -> None:
        self._committer.written_at = now = time.monotonic()
        self._hold(now)
        self._committer.end(error)

    def _hold(self, now: float) -> None:
        """On a slow disk, hold the next group back a little, until all are there that wrote in the last two groups.

        Writers whose replies left with one group come back just after the next has started. So they would go on in two
        halves that take turns, each waiting for the other's sync. A quarter of a sync is enough for them to come back.
        """
        seconds = self._committer.write_seconds
        if seconds < _SLOW_DISK_SECONDS:
            self._expected = 0
            return
        askers = {asker for asker, _, _, _ in self._committer.members() if asker is not None}
        before, self._writers = self._writers, askers
        self._expected = len(before | self._writers)
        self._hold_until = now + seconds / 4

    def close(self) -> None:
        self._writer.close()
        self._helper.close()
        self._wakeup.handle()  # what they were at is done
        self._upkeep.close()
        self._store.keys.owners.close()
        self._engine.close()

    # For people.

    def describe(self) -> dict[str, Any]:
        return describe(self._store) | {"sync": self._sync, "compacting": self._upkeep.compacting}

    def statistics(self) -> dict[str, Any]:
        committed = self._committer.statistics()
        latencies = {"reads": self._read_latency.fields(), **committed.pop("latencies")}
        return statistics(self._store) | committed | {"misses": self._misses, "latencies": latencies}
