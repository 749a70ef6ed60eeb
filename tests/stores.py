"""A store on a data file in this process, with what tests want to do to it; and the file as other programs see it."""

import json
import time

from kvclient.contract.errors import DataStoreError
from kvd.backend.file.engine.check import check
from kvd.backend.file.engine.file import JsonFile
from kvd.backend.file.events import FileEvents
from kvd.backend.file.store.operations import READS
from kvd.backend.file.store.operations.upkeep import Forget, Sweep, WriteDown
from kvd.backend.file.store.replies import changed
from kvd.backend.file.store.store import Store
from kvd.limits import CompactWhen, Limits
from kvd.requests.parser import Parser
from kvd.requests.twins import TWINS


class Opened:
    """A store on the file at `path`. Like a daemon's, but each call does one thing."""

    def __init__(self, path, clock=time.time, *, sync="always", **settings):
        self.path = path
        self.clock = clock
        self.opened_with = {"sync": sync, **settings}
        when = {name: settings.pop(name) for name in CompactWhen._fields if name in settings}
        limits = Limits(**settings)
        self.engine = JsonFile(path, sync=sync, max_file_bytes=limits.max_file_bytes)
        self.store = Store(self.engine, limits, clock, CompactWhen(**when))
        self.keys = self.store.keys

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def do(self, *operations):
        """Carry out operations in one commit, and return their results: revisions and errors."""
        return [getattr(result, "revision", result) for result in self.outcomes(*operations)]

    def outcomes(self, *operations, asker=None):
        """Carry out operations in one commit, and return what the store remembers of each."""
        group = self.decide(*operations, asker=asker)
        try:
            self.store.write(group)
        except BaseException:
            self.store.fail(group)
            raise
        self.store.finish(group)
        return group.results

    def decide(self, *operations, asker=None):
        return self.store.decide([(asker, operation) for operation in operations])

    def change(self, operation):
        """Carry out one operation, after a compaction if it takes one; raise if it is refused."""
        results = self.do(operation)
        if not results:
            self.compact()
            results = self.do(operation)
        if isinstance(results[0], DataStoreError):
            raise results[0]
        return results[0]

    def create(self, key, value, ttl=None, id=None):  # noqa: A002
        return self.change(create(key, value, ttl, id))

    def batch(self, items, ttl=None, id=None):  # noqa: A002
        return self.change(create_all({key: encoded(value) for key, value in items.items()}, ttl, id))

    def delete(self, key, id=None):  # noqa: A002
        return self.change(delete(key, id))

    def sweep(self, most=1000):
        return self.change(Sweep(most))

    def settle(self):
        """Write down all that was cleared, and tell of all that a compaction dropped."""
        while self.keys.clears:
            self.change(WriteDown(300))
        while self.keys.dropped(1):
            self.change(Forget(500))

    def ask(self, op, **fields):
        """Return the reply to an operation, carried out in a commit of its own if it is a change."""
        asked = request(op, **fields)
        if op not in READS:
            (outcome,) = self.outcomes(asked)
            if isinstance(outcome, DataStoreError):
                raise outcome
            return json.loads(changed(outcome))
        answer = READS[op](self.keys, asked)
        while not isinstance(answer, bytes):
            try:
                next(answer)
            except StopIteration as end:
                answer = end.value
        return json.loads(answer)

    def list(self, prefix=""):
        return [entry["key"] for entry in self.ask("list", prefix=prefix)["entries"]]

    def follow(self):
        """Return a list that takes up the events of every commit from now on."""
        events = []
        FileEvents(self.store).tell(events.extend)
        return events

    def read(self, key):
        return json.loads(self.keys.value(key, self.keys.existing(key)))

    def contents(self):
        """Return all that `read` finds."""
        found = {}
        for key in self.engine._index.keys():  # noqa: SIM118
            try:
                found[key] = self.read(key)
            except KeyError:
                continue
        return found

    def compact(self):
        for job in self.store.compact():
            if job is not None:
                job.run()

    def close(self):
        self.keys.owners.close()
        self.engine.close()

    def crash(self):
        """Leave the file as a process that is killed leaves it."""
        self.keys.owners.close()
        self.engine.abandon()

    def reopened(self):
        """Close the file and open it anew."""
        self.close()
        return Opened(self.path, self.clock, **self.opened_with)


def request(op, **fields):
    """Return an operation as the daemon parses it, with no limit in the way."""
    return Parser(Limits(max_value_bytes=1 << 30, max_batch=1 << 30)).parse(encoded({"op": op, **fields}))


def create(key, value, ttl=None, id=None):  # noqa: A002
    return TWINS["create"](key=key, value=encoded(value), ttl=ttl, id=id)


def create_all(items, ttl=None, id=None):  # noqa: A002
    """Create all items, whose values are JSON already, or none."""
    return TWINS["batch_create"](items=items, ttl=ttl, id=id)


def delete(key, id=None):  # noqa: A002
    return TWINS["delete"](key=key, id=id)


def encoded(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def in_a_second():
    """Return the time at which what a writer let expire at once has expired, however fast the test was."""
    return time.time() + 1


def contents(path, clock=in_a_second):
    """Open a file, return all that is in it a second from now, and close it."""
    with Opened(path, clock) as opened:
        return opened.contents()


def as_others_read(path, now=None):
    """Return keys and values as any program sees them that can read JSON: the last of equal names counts."""
    document = json.loads(path.read_bytes())
    now = time.time() if now is None else now
    return {
        key: entry["value"]
        for key, entry in document.items()
        if key and entry is not None and not ("expires_at" in entry and entry["expires_at"] <= now)
    }


def assert_sound(path):
    """Have `kvd check`'s own examination find nothing at all to say against the file."""
    report = check(path)
    assert ([], []) == (report.gaps, report.suspicious)
