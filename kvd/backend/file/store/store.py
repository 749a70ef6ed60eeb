"""The store: decides operations one after the other, and has the engine commit what they change together.

A group of operations goes through three calls: `decide` (in memory), `write` (waits for the disk; may run in another
thread while reads go on), `finish` (makes it visible). Reads see finished groups only, which are durable as far as
the sync mode asks. The operations of a group are decided on what those before them in the group will have changed;
one group is under way at a time, so an operation is never decided on what may yet fail without it failing too.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NoReturn

from kvclient.contract.errors import DataStoreError, StoreFullError
from kvd.backend.file.engine.interface import Commit, Compaction, Engine, Outcome
from kvd.backend.file.store.committed import Committed
from kvd.backend.file.store.keys import Keys
from kvd.backend.file.store.operations import CHANGES, FREES, IN_STEPS, Meaning, is_long
from kvd.backend.file.store.outcomes import Outcomes, Result, repeated, split_id
from kvd.backend.file.store.view import View, WaitsError
from kvd.limits import CompactWhen, Limits

# Where less than this is left for the records of what a sweep removes, a compaction does its work.
_SWEEP_BYTES = 256
# A compaction that failed, for want of room on the disk, say, is not tried again for so long.
_FAILED_SECONDS = 10.0
_UPKEEP = ("sweep", "release", "write_down", "forget")


class Group:
    """Operations decided together."""

    upkeep_waits = False
    """Whether upkeep did nothing, for want of room: a compaction will drop what has expired."""
    waits_for_room = False
    """Whether the next operation waits for a compaction. Otherwise it waits for other upkeep."""
    cost = 0
    staged: Any = None
    """The engine's commit; None if nothing changes."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.results: list[Result] = []
        """Of the operations that were decided, in their order. The others wait."""
        self.durable: dict[str, Outcome] = {}
        self.heard: dict[str, tuple[int, Result]] = {}

    @property
    def time(self) -> float:
        """When it was decided, in Unix seconds."""
        return self.view.now


class Store:
    """Keys and values with TTL, limits and revisions on an engine."""

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        clock: Callable[[], float] = time.time,
        compact_when: CompactWhen = CompactWhen(),  # noqa: B008  # immutable
    ) -> None:
        """`clock` gives Unix seconds."""
        self.engine = engine
        self.limits = limits
        self.keys = Keys(engine, limits, clock)
        self._clock = clock
        self._compact_when = compact_when
        self._outcomes = Outcomes(engine.outcomes)
        self._compact_from = 0.0
        self.compactions = 0
        """How many were completed."""
        self.compaction_seconds = 0.0
        """How long these took, beside all else that was done meanwhile."""

    # Changes.

    def decide(self, tasks: Sequence[tuple[Any, ...]]) -> Group:
        """Do as `deciding`, without a pause."""
        return next(group for group in self.deciding(tasks) if group is not None)

    def deciding(self, tasks: Sequence[tuple[Any, ...]]) -> Iterator[Group | None]:
        """Decide operations in their order, up to the first that has to wait (see `Group.results`).

        A task is who asks for it (an `Asker`, or None: the store itself), the request, and what the caller adds.

        Yields the group, and before that None after every step of a long operation. Between these others may read, and
        nothing else may be decided.
        """
        view = View(self.keys, self._clock())
        group = Group(view)
        for task in tasks:
            request = task[1]
            meaning = CHANGES[request.op]
            view.start(task[0])
            if request.op in IN_STEPS and is_long(request) and self.recall(request, group) is None:
                meaning = yield from _carried_out(view, request)
            try:
                group.results.append(self._decide_once(request, group, meaning))
            except WaitsError:
                break
            except DataStoreError as error:
                # It may be remembered for long, and its traceback would keep all of this call alive.
                group.results.append(error.with_traceback(None))
        if view.revision != self.engine.revision or view.cleared is not None:
            group.staged = self.engine.stage(
                Commit(view.revision, view.written_at, view.written(), group.durable, view.clear, view.cleared)
            )
        yield group

    def _decide_once(self, request: Any, group: Group, meaning: Meaning) -> Result:
        """Decide an operation, unless it is the repetition of one that was decided already."""
        if request.id is None:
            return self._decide(request, group, meaning, None, -1)
        client, number = split_id(request.id)
        latest = group.heard.get(client)
        outcome = self._outcomes.recall(client, number) if latest is None else repeated(latest, client, number)
        if outcome is not None:
            return outcome
        try:
            result = self._decide(request, group, meaning, client, number)
        except DataStoreError as error:
            group.heard[client] = (number, error)
            raise
        group.heard[client] = (number, result)
        return result

    def recall(self, request: Any, group: Group | None = None) -> Result | None:
        """Return what became of an operation that repeats an earlier one, or one of `group`; None if it is new."""
        if request.id is None:
            return None
        client, number = split_id(request.id)
        if group is not None and client in group.heard:
            return repeated(group.heard[client], client, number)
        return self._outcomes.recall(client, number)

    def _decide(self, request: Any, group: Group, meaning: Meaning, client: str | None, number: int) -> Outcome:
        view, op = group.view, request.op
        try:
            fields = meaning(view, request)
            if view.revision == view.started:
                return Outcome(number, view.revision, fields)
            cost = self.engine.cost(view.written_since_start(), client, fields if client else b"", view.clear)
            needed, room = group.cost + cost, self.engine.room(removing=op in FREES)
            if needed > room:
                self._wait_for_room(needed, room, group)
            group.cost = needed
        except (WaitsError, DataStoreError) as refused:
            view.take_back()
            if op not in _UPKEEP or not isinstance(refused, WaitsError | StoreFullError):
                raise
            self._put_back(group)
            group.upkeep_waits = True
            return Outcome(number, view.revision)
        outcome = Outcome(number, view.revision, fields)
        if client is not None:
            group.durable[client] = outcome
        return outcome

    def _wait_for_room(self, needed: int, room: int, group: Group) -> NoReturn:
        """Raise `WaitsError` where there will be room, and otherwise `StoreFullError`."""
        if group.cost:
            raise WaitsError
        if needed <= room + self.engine.reclaimable or self.keys.has_expired(group.time):
            if self.compaction_failed:
                raise StoreFullError("The data file is full, and could not be compacted. Nothing was changed.")
            group.waits_for_room = True
            raise WaitsError
        raise StoreFullError(
            f"The data file would pass its limit of {self.limits.max_file_bytes} bytes (setting max_file_bytes), "
            "also without what is expired and deleted. Nothing was changed."
        )

    def write(self, group: Group) -> None:
        """Write the group's commit, if it has one. Raises the errors of `Engine.write`; then call `fail`."""
        if group.staged is not None:
            self.engine.write(group.staged)

    def finish(self, group: Group) -> Committed | None:
        """Make the written group visible, and return what it changed."""
        committed = None
        view = group.view
        if group.staged is not None:
            committed = view.committed()
            self.engine.apply(group.staged)
            self.keys.follow(committed)
        if view.reached is not None:  # it may have found nothing to write down
            self.keys.clears.go_on(view.reached, done=view.cleared is not None)
        if view.clear is not None:
            self.keys.cleared(view.clear, view.put_behind(view.clear))
        for client, (number, result) in group.heard.items():
            self._outcomes.add(client, number, result)
        return committed

    def fail(self, group: Group) -> None:
        """Forget a group whose `write` failed. Its operations may be decided again."""
        self._put_back(group)

    def _put_back(self, group: Group) -> None:
        self.keys.expiry.put_back(group.view.swept)
        group.view.swept.clear()

    # Upkeep.

    def next_expiry(self) -> float | None:
        """Return when a key may expire next, in Unix seconds: time for a `Sweep`."""
        return self.keys.expiry.next()

    @property
    def compaction_failed(self) -> bool:
        """Whether a compaction failed just now, so that waiting for another is of no use."""
        return time.monotonic() < self._compact_from

    def compaction_due(self) -> bool:
        """Tell whether so much of the file is dead, or so little of it free, that a compaction is worth its cost."""
        if self.compaction_failed:
            return False
        engine, when = self.engine, self._compact_when
        dead = engine.reclaimable
        if dead >= when.compact_min_bytes and dead >= when.compact_share * engine.used_bytes:
            return True
        if self.keys.expiry.next() is not None and engine.room(removing=True) < _SWEEP_BYTES:
            return self.keys.has_expired(self._clock())
        # Nearly full: before nothing fits any more, because then writers have to wait until the compaction is done.
        limit, room = self.limits.max_file_bytes, engine.room(removing=False)
        return room < limit // 10 and dead > max(room, limit // 100)

    def compact(self) -> Compaction:
        """Go through the steps of a compaction; see `Engine.compact`.

        After one that failed none is due for a while, and what needs the room is refused.
        """
        # A generator of its own: what is committed before the first step has its outcome carried over, too.
        steps = self.engine.compact(
            self._clock(), self._outcomes.durable(), self.keys.order.in_order(), untold=bool(self.keys.dropped(1))
        )
        failure: BaseException | None = None
        started = time.monotonic()
        try:
            while True:
                job = next(steps) if failure is None else steps.throw(failure)
                failure = None
                self.keys.note_dropped(self.engine.dropped)
                try:
                    yield job
                except Exception as error:  # noqa: BLE001  # of the job, for the engine to handle
                    failure = error
        except StopIteration:
            self.keys.note_dropped(self.engine.dropped)
            self.compactions += 1
            self.compaction_seconds += time.monotonic() - started
        except Exception:
            self._compact_from = time.monotonic() + _FAILED_SECONDS
            raise
        finally:
            steps.close()


def _carried_out(view: View, request: Any) -> Generator[None, None, Meaning]:
    """Carry out a long operation in steps. Returns what tells its fields, or raises what it was refused with."""
    refused: Exception
    try:
        fields = yield from IN_STEPS[request.op](view, request)
    except (WaitsError, DataStoreError) as error:
        refused = error
    else:
        return lambda _view, _request: fields

    def refuse(_view: View, _request: Any) -> bytes:
        raise refused

    return refuse
