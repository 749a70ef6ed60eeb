"""How jobs are put, taken, done and given back, as steps: the one algorithm behind `Queue` and `AsyncQueue`.

A process that takes jobs has an ephemeral key, which is there while it lives. To take a job is one change of the job's
key, which says by whom, and counts the attempt. So a job has one worker: the change is refused if the job is not at the
revision at which it was seen free. When the worker dies, the kernel's word removes its key, and what it had taken is
free in its place, with nothing else to be written. To be done is to be deleted, at the revision of the take.

Who finds nothing to take watches the queue, and looks again when it was told of a job that is new or free again, and
when a delayed one is due.
"""

import random
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty as _Empty
from typing import Any

from kvclient.contract import calls
from kvclient.contract.calls import Call
from kvclient.contract.errors import (
    DataStoreError,
    KeyExistsError,
    KeyNotFoundError,
    RequestTimeoutError,
    RevisionGoneError,
    RevisionMismatchError,
)
from kvclient.contract.listing import Listing
from kvclient.contract.records import Entry
from kvclient.contract.watching import Watching
from kvclient.recipes.jobs import (
    Candidate,
    Dead,
    Job,
    Keys,
    Record,
    Seen,
    check_delay,
    check_priority,
    due_digits,
    new_ids,
    new_take,
    recorded,
    this_worker,
)
from kvclient.recipes.steps import Steps, ask
from kvclient.recipes.waiting import Deadline, Wait, check_wait

_CONFLICTS = KeyExistsError, KeyNotFoundError, RevisionMismatchError
_LOOK_AHEAD, _LOOK_AHEAD_CROWDED = 4, 16
"""Free jobs that are looked at, so that there is another one when somebody else was faster."""
_CROWDED_SECONDS = 0.1
"""For so long after a conflict a worker prefers jobs that fall to it. Each conflict costs a request that waits for the
disk: without this, four workers that do nothing but take jobs have one for every second job.
"""
_KEPT_SECONDS = 0.01
"""For so long a crowded worker takes jobs that it has seen before it looks again."""
_MOST_ENTRIES = 1000
_DUE_AT_ONCE = 64
_NEVER = float("inf")


_doubts: "weakref.WeakKeyDictionary[object, dict[str, list[tuple[Job, str]]]]" = weakref.WeakKeyDictionary()
"""Jobs that this process may have without knowing, since the answer never came, with what names the take; by store and
queue. Who next takes a job of that queue, by whatever object, gives them back first.
"""


class Empty(DataStoreError, _Empty):
    """No job was free for as long as the caller would wait: `queue.Empty`, as that of the standard library."""


class Serving:
    """A queue by name, and what was seen of it last."""

    def __init__(self, store: object, name: str, max_deaths: int | None) -> None:
        wrong = isinstance(max_deaths, bool) or not isinstance(max_deaths, int) or max_deaths < 1
        if max_deaths is not None and wrong:
            raise ValueError(f"max_deaths is a number from 1 on, or None for no limit, not {max_deaths!r}.")
        self.name = name
        self.max_deaths = max_deaths
        self._keys = Keys(name)
        self._ahead = 0
        """Keys ahead of the first job that was free, when it was looked last."""
        self._crowded_until = 0.0
        """Others took jobs at the same moment: each worker prefers jobs that fall to it until then (monotonic)."""
        self._kept: list[Candidate] = []
        self._kept_until = 0.0
        self._delays_seen = 0
        self._next_due = _NEVER
        self._doubts = _doubts.setdefault(store, {}).setdefault(name, [])

    # Putting.

    def put(self, values: Iterable[Any], delay: float, priority: int) -> Steps[list[str]]:
        """Add jobs, all or none, and come to their ids."""
        wanted = list(values)
        ids = new_ids(len(wanted), check_priority(priority), check_delay(delay))
        records = [Record(value).json() for value in wanted]
        if not ids:
            return ids
        if delay:
            keys = [f"{self._keys.later}{due_digits(job)}-{job}" for job in ids]
            creates = [_create(key, value) for key, value in zip(keys, records, strict=True)]
            yield from ask(calls.batch([*creates, {"op": "increment", "key": self._keys.delays}]))
        elif len(ids) == 1:
            yield from ask(calls.create(self._keys.job + ids[0], records[0]))
        else:
            yield from ask(
                calls.batch_create({self._keys.job + job: each for job, each in zip(ids, records, strict=True)})
            )
        return ids

    # Taking.

    def get(self, wait: Wait) -> Steps[Job]:
        """Take the next job, or raise `Empty` when that takes too long."""
        deadline = Deadline(check_wait(wait))
        yield from self._settle()
        watching: Watching | None = None
        while True:
            job = yield from self._take()
            if job is not None:
                return job
            if not deadline.left():
                raise Empty(f"Queue {self.name!r} has no job that is free.")
            try:
                if watching is None:  # and look once more: what came before the watch began is not told
                    watching = Watching(self._keys.service, None)
                    watching.take((yield from ask(watching.first())))
                else:
                    yield from self._wait(watching, deadline)
            except RevisionGoneError:
                watching = None

    def _wait(self, watching: Watching, deadline: Deadline) -> Steps[None]:
        """End when there may be something to take, or at the deadline."""
        while (seconds := min(deadline.left(), self._next_due - time.time())) > 0:
            watching.take((yield from ask(watching.next(seconds))))
            brings_work = self._keys.brings_work(watching.events)
            watching.events.clear()
            if brings_work:
                return

    def next(self, done: Job, wait: Wait) -> Steps[Job]:
        """Remove a job that this process has, and take the next one; in one commit if there is one."""
        check_wait(wait)
        yield from self._settle()
        job = yield from self._take(done)
        if job is not None:
            return job
        yield from self.done(done)
        return (yield from self.get(wait))

    def _take(self, done: Job | None = None) -> Steps[Job | None]:
        """Take the first job that is free, if there is one, and then remove the one that is done."""
        while True:
            mine = yield from self._see()
            if not mine:
                return None
            for candidate in _taken_off(mine):
                job = yield from self._claim(candidate, done)
                if job is not None:
                    return job
                self._crowded_until = time.monotonic() + _CROWDED_SECONDS

    def _see(self) -> Steps[list[Candidate]]:
        """Come to jobs that this worker may take, in the order in which it should try; to none if none is free."""
        now = time.monotonic()
        crowded = now < self._crowded_until
        if crowded and self._kept and now < self._kept_until:
            return self._kept
        seen = yield from self._look(_LOOK_AHEAD_CROWDED if crowded else _LOOK_AHEAD)
        if not crowded:
            return seen.free
        self._kept = seen.share_of(this_worker())
        self._kept_until = time.monotonic() + _KEPT_SECONDS
        others = seen.first()
        return self._kept or random.sample(others, len(others))

    def _look(self, ahead: int) -> Steps[Seen]:
        """Come to what is there: the first jobs that are free, in their order, if there are any."""
        while True:
            seen, after, limit = Seen(), "", min(_MOST_ENTRIES, self._ahead + ahead)
            while True:
                page = yield from ask(calls.page(self._keys.service, after, limit, values=True))
                if after:
                    yield from self._look_for_workers(page.entries, seen)
                self._keys.look(page.entries, seen)
                if seen.free or not page.more:
                    break
                after, limit = page.entries[-1].key, _MOST_ENTRIES
            self._ahead = len(seen.workers) + seen.busy + 1
            brought = yield from self._bring_due(seen.delays)
            if seen.free and this_worker() not in seen.workers:
                yield from self._be_a_worker()
            if not brought:
                return seen

    def _look_for_workers(self, entries: Iterable[Entry], seen: Seen) -> Steps[None]:
        """Note which workers came after the first page and have jobs on a later one. They were there before they took
        jobs, so that those which are not there now are dead.
        """
        unknown = [self._keys.worker + worker for worker in self._keys.workers_of(entries) - seen.workers]
        if unknown:
            there = yield from ask(calls.read_many(unknown))
            seen.workers.update(key.removeprefix(self._keys.worker) for key in there)

    def _be_a_worker(self) -> Steps[None]:
        with suppress(KeyExistsError):  # another thread's doing
            yield from ask(calls.create(self._keys.worker + this_worker(), {"since": time.time()}, ephemeral=True))

    def _claim(self, candidate: Candidate, done: Job | None) -> Steps[Job | None]:
        """Take a job, or come to None if somebody else was faster."""
        value, taken, _, _ = candidate.record
        last = self.max_deaths is not None and taken + 1 >= self.max_deaths
        job, take = Job(candidate.id, value, taken, 0, last), new_take()
        counted = Record(value, taken + 1, take).json()
        key, was = self._keys.job + candidate.id, candidate.revision
        try:
            if last or done is not None:
                moves = [] if done is None else [_delete(self._keys.of(done), done.revision)]
                if last:  # there it is a dead letter if this worker dies: nobody has to move it first
                    moves += [_delete(key, was), _create(self._keys.of(job), counted)]
                else:
                    moves += [{"op": "update", "key": key, "value": counted, "if_revision": was}]
                results = yield from ask(calls.batch(moves))
                revision = results[-1]["revision"]
            else:
                revision = yield from ask(calls.update(key, counted, if_revision=was))
        except _CONFLICTS as error:
            if done is not None and error.index == 0:
                raise self._not_held(done) from None
            return None
        except GeneratorExit:
            raise
        except BaseException as error:
            if isinstance(error, RequestTimeoutError) or not isinstance(error, DataStoreError):
                self._doubts.append((job, take))
                yield from self._withdraw(job, take)
            raise
        return job._replace(revision=revision)

    def _bring_due(self, delays: int) -> Steps[bool]:
        """Bring delayed jobs that are due to where the others are, if some may be; come to whether some were."""
        if delays == self._delays_seen and time.time() < self._next_due:
            return False
        brought = False
        while True:
            page = yield from ask(calls.page(self._keys.later, "", _DUE_AT_ONCE, values=True))
            now = time.time()
            due = [entry for entry in page.entries if self._keys.due(entry.key) <= now]
            if not due:
                self._delays_seen = delays
                self._next_due = self._keys.due(page.entries[0].key) if page.entries else _NEVER
                return brought
            moves = [
                move
                for entry in due
                for move in (
                    {"op": "delete", "key": entry.key},
                    _create(self._keys.job + entry.key.rpartition("-")[2], entry.value),
                )
            ]
            brought = True
            with suppress(*_CONFLICTS):  # somebody else brought them
                yield from ask(calls.batch(moves))

    # Ending.

    def done(self, job: Job) -> Steps[None]:
        """Remove a job that this process has."""
        yield from self._end(job, calls.delete(self._keys.of(job), if_revision=job.revision))

    def give_back(self, job: Job, error: str | None, *, counts: bool) -> Steps[None]:
        """Let others have a job, in its old place; what `counts` is a death."""
        key = self._keys.of(job)
        if counts:
            record = Record(job.value, job.deaths + 1, error=error if job.last else None)
        else:
            record = Record(job.value, job.deaths)
        if job.last and not counts:
            back = _create(self._keys.job + job.id, record.json())
            yield from self._end(job, calls.batch([_delete(key, job.revision), back]))
        else:
            yield from self._end(job, calls.update(key, record.json(), if_revision=job.revision))

    def _end(self, job: Job, change: Call[Any]) -> Steps[None]:
        try:
            yield from ask(change)
        except RevisionMismatchError:
            raise self._not_held(job) from None

    def _not_held(self, job: Job) -> KeyNotFoundError:
        return KeyNotFoundError(
            f"Job {job.id} of queue {self.name!r} is not held any more: it was done or given back already, or "
            "somebody deleted or changed its key.",
            [self._keys.of(job)],
        )

    def _settle(self) -> Steps[None]:
        """Give back what this process may have without knowing."""
        for doubt in self._doubts.copy():
            if (yield from self._withdraw(*doubt)):
                with suppress(ValueError):  # another thread did it
                    self._doubts.remove(doubt)

    def _withdraw(self, job: Job, take: str) -> Steps[bool]:
        """Give a job back if this take got it. Come to False if the store cannot be asked now."""
        key = self._keys.of(job)
        try:
            # A read does not wait for the changes before it. This change does, though it changes nothing.
            yield from ask(calls.delete_many([f"{key}?"]))
            found = yield from ask(calls.entry(key))
            record = recorded(found.value)
            if record is not None and record.by == take:
                yield from self.give_back(job._replace(revision=found.revision), None, counts=False)
        except KeyNotFoundError:
            return True
        except DataStoreError:
            return False
        return True

    # Looking.

    def size(self) -> Steps[int]:
        """Come to the number of jobs that are not done, dead letters aside."""
        total = 0
        for prefix in (self._keys.job, self._keys.later, self._keys.dead):
            total += yield from ask(calls.count(prefix))
        return total - len((yield from self.dead()))

    def dead(self) -> Steps[list[Dead]]:
        """Come to the dead letters, in the order of service."""
        found = yield from _entries(self._keys.dead)
        workers = {entry.key.removeprefix(self._keys.worker) for entry in (yield from _entries(self._keys.worker))}
        letters = []
        for entry in found:
            record = recorded(entry.value)
            if record is not None and (record.by is None or record.worker() not in workers):
                job = entry.key.removeprefix(self._keys.dead)
                letters.append(Dead(job, record.value, record.taken, record.error, entry.revision))
        return letters

    def retry(self, dead: Dead) -> Steps[None]:
        """Have a dead letter be a job again, as if it had never been taken."""
        yield from self._remove(dead, [_create(self._keys.job + dead.id, Record(dead.value).json())])

    def discard(self, dead: Dead) -> Steps[None]:
        """Delete a dead letter."""
        yield from self._remove(dead, [])

    def _remove(self, dead: Dead, moves: list[dict[str, Any]]) -> Steps[None]:
        key = self._keys.dead + dead.id
        try:
            yield from ask(calls.batch([_delete(key, dead.revision), *moves]))
        except (KeyExistsError, RevisionMismatchError):
            raise KeyNotFoundError(f"Job {dead.id} is no dead letter of queue {self.name!r} any more.", [key]) from None


def _taken_off(candidates: list[Candidate]) -> Iterator[Candidate]:
    """Yield the first one of a list, which then has it no more: threads may share it."""
    while True:
        try:
            candidate = candidates.pop(0)
        except IndexError:
            return
        yield candidate


def _entries(prefix: str) -> Steps[list[Entry]]:
    found: list[Entry] = []
    listing = Listing(prefix, "", None, values=True)
    while listing.more:
        found += listing.take((yield from ask(listing.call())))
    return found


def _delete(key: str, revision: int) -> dict[str, Any]:
    return {"op": "delete", "key": key, "if_revision": revision}


def _create(key: str, value: Any) -> dict[str, Any]:
    return {"op": "create", "key": key, "value": value}
