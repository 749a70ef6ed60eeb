"""The one way to the disk: changes wait in a queue, become groups, are written, and are answered.

For the daemon's loop and for `LocalDataStore` alike: `begin` decides a group, `write` waits for the disk in whatever
thread, `end` answers. The rules for a full file, an interfering program and a failing disk are kept here:

- Removals that fit are carried out, also where something else in the queue does not fit, and where the disk is full.
- What another program did to the file refuses all changes; what the disk failed at ends the daemon.
- What was carried out before, and is only asked again, is answered so even then.
"""

import bisect
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from kvclient.contract.errors import DataStoreError, StoreFullError
from kvd.backend.asking import Asker
from kvd.backend.file.health import Health, out_of_memory
from kvd.backend.file.store.committed import Committed
from kvd.backend.file.store.operations import FREES
from kvd.backend.file.store.outcomes import Result
from kvd.backend.file.store.replies import changed
from kvd.backend.file.store.store import Group, Store
from kvd.histogram import Histogram

log = logging.getLogger(__name__)

_GROUP, _GROUP_BYTES = 256, 4 << 20
"""Operations in a group, and bytes of their requests, if they are more than one: so many share a commit."""
_NOTED = 512
"""Durations noted before they are counted: sorting them takes 20 µs, and of thousands much longer for each."""


Member = tuple[Asker | None, Any, int, float]
"""A change that waits: who asks for it (None: the store itself), the request, the bytes that it takes, and since when
it waits, on the monotonic clock."""


Note = Callable[[Any, Asker, int], None]
"""Takes a change, who asked for it, and its revision."""


class Committer:
    """The queue of changes, and the group that is under way."""

    def __init__(self, store: Store, health: Health, note: Note | None = None) -> None:
        """`note` is called with every change of an asker's that was committed."""
        self._note = note
        self._store = store
        self._health = health
        self.queue: list[Member] = []
        """What waits, in the order in which it came."""
        self._members: list[Member] = []
        self._upkeep: set[str] = set()
        self.deciding: Iterator[Group | None] | None = None
        """The steps that are left of deciding a group; `begin` goes on with them."""
        self.group: Group | None = None
        """The group under way."""
        self.queued_bytes = 0
        self.needs_room = False
        """Whether what is first in the queue waits for a compaction."""
        self.upkeep_waits = False
        """Whether the last upkeep found no room."""
        self.write_seconds = 0.0
        """How long the last write took."""
        self.written_at = 0.0
        """When the last write had ended, or the loop heard of it, on the monotonic clock."""
        self._committed = 0
        self._commits, self._changes = Histogram(), Histogram()

    def add(self, asker: Asker | None, request: Any, size: int) -> None:
        """Queue a change."""
        self.queue.append((asker, request, size, time.monotonic()))
        self.queued_bytes += size

    def add_upkeep(self, request: Any) -> None:
        """Queue the store's own upkeep before all else, unless some of its kind is queued or under way."""
        if request.op not in self._upkeep:
            self._upkeep.add(request.op)
            self.queue.insert(0, (None, request, 0, 0.0))

    def has_upkeep(self, op: str) -> bool:
        """Tell whether upkeep of a kind is queued or under way."""
        return op in self._upkeep

    @property
    def waiting(self) -> bool:
        """Whether there is something for `begin`."""
        return bool(self.queue or self.deciding)

    @property
    def committing(self) -> bool:
        """Whether a group is being decided or written."""
        return self.group is not None or self.deciding is not None

    def members(self) -> list[Member]:
        """Return the members of the group under way."""
        return self._members

    def begin(self) -> Group | None:
        """Make what is queued the next group.

        None if there is nothing, if what is first has to wait, or if deciding takes more steps: see `deciding`.
        """
        if self._health.refusing is not None:
            self.refuse_all(self._health.refusing)
            return None
        if self.deciding is None:
            if not self.queue:
                return None
            self.needs_room = False
            if len(self.queue) <= _GROUP and self.queued_bytes <= _GROUP_BYTES:
                self._members, self.queue, self.queued_bytes = self.queue, [], 0
            else:
                self._members = self._take_a_part()
            self.deciding = self._store.deciding(self._members)
        try:
            group = next(self.deciding)
        except MemoryError:
            members, self._members, self.deciding = self._members, [], None
            log.warning("there is no memory for a group of %d changes", len(members))
            self._refuse(members, out_of_memory())
            return None
        except BaseException:  # an interruption, in a LocalDataStore
            self._put_back(self._members)
            self._members, self.deciding = [], None
            raise
        if group is None:
            return None
        self.deciding = None
        decided = len(group.results)
        if decided < len(self._members):
            self._put_back(self._members[decided:])
            self._members = self._members[:decided]
        if not decided:
            self.needs_room = group.waits_for_room
            return None
        self.group = group
        return group

    def write(self, group: Group) -> None:
        """Write the group's commit. Raises what `end` has to be told."""
        started = time.monotonic()
        try:
            self._store.write(group)
        finally:
            self.written_at = time.monotonic()
            self.write_seconds = self.written_at - started

    def end(self, error: BaseException | None) -> Committed | None:
        """Answer the members of the group that was written, or that `error` kept from it."""
        group, members = self.group, self._members
        assert group is not None
        self.group, self._members = None, []
        self.upkeep_waits = group.upkeep_waits
        if error is not None:
            self._failed(group, members, error)
            return None
        if group.staged is not None:
            self._committed += len(members)
            self._commits.note(self.write_seconds)
            if self._note is not None:
                self._tell(self._note, members, group)
        took, now = self._changes.note, self.written_at
        for (asker, request, _, since), result in zip(members, group.results, strict=True):
            if asker is None:
                self._upkeep.discard(request.op)
                continue
            if isinstance(result, DataStoreError):
                asker.refuse(result)
            else:
                asker.reply(changed(result))
            took(now - since)
        if len(self._changes.fresh) >= _NOTED:
            self.fold()
        # Before anything else is received, and while the clients wake up.
        return self._store.finish(group)

    def _tell(self, note: Note, members: list[Member], group: Group) -> None:
        """Tell which of a group's members changed something, and not those that only repeat what was done before."""
        before, told = self._store.engine.revision, set[int]()
        for (asker, request, _, _), result in zip(members, group.results, strict=True):
            if asker is None or isinstance(result, DataStoreError) or result.revision <= before:
                continue
            if id(result) not in told:
                told.add(id(result))
                note(request, asker, result.revision)

    def _failed(self, group: Group, members: list[Member], error: BaseException) -> None:
        self._store.fail(group)
        for asker, request, _, _ in members:
            if asker is None:
                self._upkeep.discard(request.op)
                self.upkeep_waits = True
        if isinstance(error, StoreFullError):
            log.warning("%s", error)
            members = self._requeue_removals(members)
        self._refuse(members, self._health.judge(error))

    def statistics(self) -> dict[str, Any]:
        """Return what was committed, and how long it took."""
        commits = self._commits.fields()
        return {
            "commits": sum(commits["counts"]),
            "committed": self._committed,
            "sync_seconds": commits["seconds"],
            "latencies": {
                "changes": self._changes.fields(),
                "commits": commits,
                "syncs": self._store.engine.syncs.fields(),
            },
        }

    def fold(self) -> None:
        """Count the durations that were noted. To be called now and then, so that they do not become many."""
        for each in (self._commits, self._changes, self._store.engine.syncs):
            each.fold()

    def refuse_all(self, error: DataStoreError) -> None:
        """Refuse everything that is queued or being decided."""
        if self.deciding is not None:
            members, self._members, self.deciding = self._members, [], None
            self._refuse(members, error)
        queued, self.queue, self.queued_bytes = self.queue, [], 0
        self._refuse(queued, error)

    def _requeue_removals(self, members: list[Member]) -> list[Member]:
        """Put the removals of a group that did not fit first in the queue: alone they may. Return the others."""
        removals: list[Member] = []
        others: list[Member] = []
        for member in members:
            (removals if member[1].op in FREES else others).append(member)
        if not others:
            return members
        self._put_back(removals)
        self._upkeep.update(request.op for asker, request, _, _ in removals if asker is None)
        return others

    def _put_back(self, members: list[Member]) -> None:
        """Queue members before all others."""
        self.queue[:0] = members
        self.queued_bytes += sum(size for _, _, size, _ in members)

    def _take_a_part(self) -> list[Member]:
        """Remove and return what is first in a long queue, as much as should share a commit."""
        sizes = itertools.accumulate(size for _, _, size, _ in self.queue[:_GROUP])
        count = max(1, bisect.bisect(list(sizes), _GROUP_BYTES))
        taken, self.queue = self.queue[:count], self.queue[count:]
        self.queued_bytes -= sum(size for _, _, size, _ in taken)
        return taken

    def _refuse(self, members: list[Member], error: DataStoreError) -> None:
        """Refuse what could not be written. What was carried out before, and is only asked again, is answered so."""
        for asker, request, _, _ in members:
            if asker is None:
                self._upkeep.discard(request.op)
                self.upkeep_waits = True
                continue
            outcome: Result | None = self._store.recall(request)
            if outcome is None or isinstance(outcome, DataStoreError):
                asker.refuse(outcome or error)
            else:
                asker.reply(changed(outcome))
