"""The history that a data file tells: every event once, in order, with what was there before."""

import os
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engines import OpenedEngine, put, remove
from kvclient.contract.errors import RevisionGoneError, StoreCorruptError
from kvd.backend.feed import Event
from kvd.backend.file.engine import history as module
from kvd.backend.file.engine.format import HEADERS
from kvd.backend.file.engine.interface import Clear
from stores import assert_sound

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@pytest.fixture
def path(memory):
    return memory / "store.json"


def test_events_carry_what_was_there_before(path):
    """Created, updated, and each kind of removal, with the value before, the revision and the commit's time."""
    with OpenedEngine(path) as opened:
        opened.commit(put("a", b"1", 1), put("b", b"2", 2), at=10.25)
        opened.commit(put("a", b"3", 3), at=11)
        opened.commit(remove("a", 4, "expired"), remove("b", 5, "released"), at=12)
        opened.commit(put("a", b"4", 6), remove("a", 7), at=13)
        expected = [
            Event("created", "a", b"1", None, 1, 10.25),
            Event("created", "b", b"2", None, 2, 10.25),
            Event("updated", "a", b"3", b"1", 3, 11.0),
            Event("expired", "a", None, b"3", 4, 12.0),
            Event("released", "b", None, b"2", 5, 12.0),
            Event("created", "a", b"4", None, 6, 13.0),
            Event("deleted", "a", None, b"4", 7, 13.0),
        ]
        for after in range(8):
            assert expected[after:] == opened.events(after)


def test_a_key_that_changes_often_in_one_commit_is_told_each_time(path):
    """One commit has the changes of many requests, and each of them is an event."""
    with OpenedEngine(path) as opened:
        opened.commit(put("n", b"0", 1))
        opened.commit(*[put("n", b"%d" % number, number + 1) for number in range(1, 6)])

        assert (b"5", 6) == opened.state()["n"]
        told = [(event.value, event.previous) for event in opened.events(1)]
        assert [(b"%d" % number, b"%d" % (number - 1)) for number in range(1, 6)] == told
        assert (b"4", b"3", 5) == (*opened.events(4)[0][2:4], opened.events(4)[0].revision)


def test_what_a_compaction_took_is_gone(path):
    """After a compaction the history begins at its revision, and so it does when the file is opened again."""
    with OpenedEngine(path) as opened:
        opened.commit(put("a", b"1", 1))
        opened.commit(put("a", b"2", 2))
        opened.compact()
        opened.commit(put("a", b"3", 3))
        assert 2 == opened.engine.history_from
        with pytest.raises(RevisionGoneError, match="since revision 2"):
            opened.events(1)
    with OpenedEngine(path) as opened:
        assert 2 == opened.engine.history_from
        assert [("updated", b"2", b"3")] == [(e.kind, e.previous, e.value) for e in opened.events(2)]


def test_a_compaction_in_the_middle_does_not_disturb(path):
    """A history that has begun goes on with the file that it began with; later commits are not told."""
    with OpenedEngine(path) as opened:
        for revision in range(1, 1001):
            opened.commit(put(f"key{revision % 7}", b"%d" % revision, revision))
        telling = opened.engine.history(0)
        told = [next(filter(None, telling))]
        opened.commit(remove("key1", 1001))
        opened.compact()
        opened.commit(put("key1", b'"new"', 1002))
        told += filter(None, telling)
    assert list(range(1, 1001)) == [event.revision for event in told]
    assert [b"%d" % (number - 7) if number > 7 else None for number in range(1, 1001)] == [e.previous for e in told]


def test_what_is_superseded_during_a_compaction_is_known_as_what_was_before(path):
    """A commit beside a compaction may supersede what is not copied yet: the history tells what that was."""
    with OpenedEngine(path) as opened:
        opened.commit(*[put(f"key{number}", b"%d" % number, number) for number in range(1, 301)])
        steps = opened.engine.compact(0.0, {})
        next(steps)
        opened.commit(put("key300", b'"new"', 301))
        opened.commit(remove("key299", 302))
        opened.commit(put("key299", b'"again"', 303))
        for job in steps:
            if job is not None:
                job.run()
        expected = [
            ("updated", "key300", b"300", b'"new"'),
            ("deleted", "key299", b"299", None),
            ("created", "key299", None, b'"again"'),
        ]
        assert 300 == opened.engine.history_from
        assert expected == [(e.kind, e.key, e.previous, e.value) for e in opened.events(300)]
    with OpenedEngine(path) as opened:
        assert expected == [(e.kind, e.key, e.previous, e.value) for e in opened.events(300)]


def test_a_clear_is_told_when_it_was_decided(path):
    """Keys of a clear are written down by later commits, and told in the order of their revisions, with its time."""
    with OpenedEngine(path) as opened:
        opened.commit(put("a1", b"1", 1), put("a2", b"2", 2), put("b", b"3", 3))
        opened.commit(revision=5, clear=Clear("a", 5), at=20)
        opened.commit(put("b", b"4", 6), at=21)
        opened.commit(remove("a1", 4), put("a1", b"5", 7), revision=7, at=22)
        opened.commit(remove("a2", 5), revision=7, cleared=5, at=23)
        expected = [
            Event("deleted", "a1", None, b"1", 4, 20.0),
            Event("deleted", "a2", None, b"2", 5, 20.0),
            Event("updated", "b", b"4", b"3", 6, 21.0),
            Event("created", "a1", b"5", None, 7, 22.0),
        ]
        for after in range(3, 8):
            assert expected[after - 3 :] == opened.events(after)
        assert [] == opened.engine.clears
    assert_sound(path)


def test_steps_are_short(path):
    """Between events and where nothing is to be told, the generator returns after some thousand entries at most."""
    with OpenedEngine(path) as opened:
        for first in range(1, 20_001, 2000):
            opened.commit(*[put(f"key{number}", b"1", number) for number in range(first, first + 2000)])
        opened.commit(put("last", b"1", 20_001))
        steps = list(opened.engine.history(20_000))
        assert ["last"] == [event.key for event in steps if event]
        assert len(steps) > 20_000 / (2 * module._STEP_ENTRIES)


def test_a_file_that_was_cut_is_no_short_history(path):
    """If another program cut the open file, the history says so instead of ending early."""
    opened = OpenedEngine(path)
    for revision in range(1, 100):
        opened.commit(put("key", b'"%s"' % (b"x" * 100), revision))
    os.truncate(path, 5000)
    with pytest.raises(StoreCorruptError, match="another program"):
        opened.events(0)
    opened.crash()


def test_descriptors_are_freed(path):
    """A history leaves no descriptor open: not when it is told, given up, refused, or never begun."""
    with OpenedEngine(path) as opened:
        opened.commit(put("a", b"1", 1))
        opened.commit(put("a", b"2", 2))
        before = os.listdir("/proc/self/fd")
        opened.events(0)
        begun = opened.engine.history(0)
        next(begun)
        begun.close()
        opened.engine.history(0).close()
        with pytest.raises(RevisionGoneError):
            opened.events(-1)
        assert before == os.listdir("/proc/self/fd")


keys = st.sampled_from(["a", "aa", "ab", "b", "ba", 'quo"te', "ключ"])
values = st.integers(0, 99).map(lambda number: b"%d" % number) | st.sampled_from([b'":null"', b'{"":{"crc":1}}'])
kinds = st.sampled_from(["deleted", "expired", "released"])
steps = st.tuples(keys, values | kinds, st.booleans())


def by_key(events):
    """Return events by revision and key: a clear of one revision is told in the order in which it is written down."""
    return sorted(events, key=lambda event: (event.revision, event.key))


class HistoryMachine(RuleBasedStateMachine):
    """Commits, clears, compactions and new starts beside a list of what happened."""

    @initialize()
    def begin(self):
        self.directory = tempfile.TemporaryDirectory(dir=MEMORY, prefix="kvd-")
        self.path = Path(self.directory.name) / "store.json"
        self.opened = OpenedEngine(self.path)
        self.events = []
        self.live = {}
        self.written = {}
        self.pending = {}
        self.clear = None
        self.history_from = self.snapshot = 0
        self.revision = 0
        self.now = 1000.0
        self.compaction = None

    def teardown(self):
        if hasattr(self, "directory"):
            self.opened.engine.close()
            assert_sound(self.path)
            self.directory.cleanup()

    def tell(self, kind, key, value):
        self.events.append(Event(kind, key, value, self.live.pop(key, None), self.revision, self.now))
        if value is not None:
            self.live[key] = value

    @rule(given=st.lists(steps, min_size=1, max_size=6))
    def commit(self, given):
        """Change keys, each time with a new revision or with that of the change before."""
        self.now += 0.125
        changes = []
        for key, what, shared in given:
            if key in self.pending and isinstance(what, bytes):
                changes.append(remove(key, self.pending.pop(key)))
            if isinstance(what, str) and key not in self.live:
                continue
            if not (shared and changes) or self.revision == self.opened.engine.revision:
                self.revision += 1
            if isinstance(what, bytes):
                self.tell("updated" if key in self.live else "created", key, what)
                changes.append(put(key, what, self.revision))
            else:
                self.tell(what, key, None)
                changes.append(remove(key, self.revision, what))
        if changes:
            self.opened.commit(*changes, revision=self.revision, at=self.now)

    @precondition(lambda self: self.clear is None)
    @rule(prefix=st.sampled_from(["", "a", "b", "x"]), shared=st.booleans())
    def decide_to_clear(self, prefix, shared):
        self.now += 0.125
        for number, key in enumerate(sorted(key for key in self.live if key.startswith(prefix))):
            if number == 0 or not shared:
                self.revision += 1
            self.tell("deleted", key, None)
            self.pending[key] = self.revision
        if self.pending:
            self.clear = Clear(prefix, self.revision)
            self.opened.commit(revision=self.revision, clear=self.clear, at=self.now)

    @precondition(lambda self: self.clear is not None)
    @rule(most=st.integers(1, 4))
    def write_down(self, most):
        self.now += 0.125
        gone = sorted(self.pending)[:most]
        removals = [remove(key, self.pending.pop(key)) for key in gone]
        cleared = None if self.pending else self.clear.revision
        self.opened.commit(*removals, revision=self.revision, cleared=cleared, at=self.now)
        if cleared is not None:
            self.clear = None

    @rule(count=st.integers(1, 5))
    def compact(self, count):
        if self.compaction is None:
            self.compaction = self.opened.engine.compact(0.0, {})
            self.snapshot = self.revision
        for _ in range(count):
            job = next(self.compaction, self)
            if job is self:
                self.compaction = None
                return
            if job is not None:
                job.run()
                if job.alone:
                    next(self.compaction, None)
                    self.history_from = self.snapshot

    def give_up_compaction(self):
        if self.compaction is not None:
            self.compaction.close()
            self.compaction = None

    @rule(crash=st.booleans())
    def reopen(self, crash):
        self.give_up_compaction()
        if crash:
            self.opened.crash()
        else:
            self.opened.engine.close()
        self.opened = OpenedEngine(self.path)
        assert ([] if self.clear is None else [self.clear]) == self.opened.engine.clears

    @invariant()
    def history_is_what_happened(self):
        if not hasattr(self, "opened"):
            return
        assert self.history_from == self.opened.engine.history_from
        if self.clear is None:  # otherwise, not all that it removed is written down
            for after in {self.history_from, (self.history_from + self.revision) // 2, self.revision}:
                told = self.opened.events(after)
                assert sorted(event.revision for event in told) == [event.revision for event in told]
                assert by_key([event for event in self.events if event.revision > after]) == by_key(told)
        cleared = self.clear.revision if self.clear else 0
        prefix = self.clear.prefix if self.clear else ""
        state = {
            key: value
            for key, (value, revision) in self.opened.state().items()
            if not (key.startswith(prefix) and revision <= cleared)
        }
        assert self.live == state


@pytest.mark.timeout(1800)
def test_history_against_a_model(long):
    """Whatever is committed, cleared, compacted and opened again, the history tells what happened."""
    run_state_machine_as_test(
        HistoryMachine,
        settings=settings(
            max_examples=1000 if long else 100,
            stateful_step_count=40 if long else 25,
            suppress_health_check=list(HealthCheck),
            deadline=None,
        ),
    )


def test_a_file_of_version_1_has_no_history(path):
    """Its commits have no times: the history begins with the first commit of version 2."""
    (first,) = [header for header, version in HEADERS.items() if version == 1]
    path.write_bytes(first + b',"":{"crc":"e34c49fd","bytes":        1,"revision":0}\n}\n')
    with OpenedEngine(path) as opened:
        opened.commit(put("a", b"1", 1))
        assert ["a"] == [event.key for event in opened.events(0)]
