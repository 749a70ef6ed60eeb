"""Random operations, clock steps, compactions, crashes and torn writes against a dict that knows what must be there."""

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

from clock import Clock
from kvclient.contract.errors import DataStoreError, KeyExistsError, KeyNotFoundError, StoreFullError
from kvd.backend.file.engine.format import CLOSING
from kvd.backend.file.engine.interface import EngineFailure
from kvd.backend.file.store.operations.upkeep import Sweep
from stores import Opened, as_others_read, assert_sound, create_all, delete, encoded

_SECTOR = 512
"""Bytes that a disk writes whole or not at all; see `kvd.backend.file.engine.edits.is_tear`."""

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
MAX_FILE_BYTES = 40_000

keys = st.sampled_from(["a", "b", "c", "d", "ключ", 'quo"te', "back\\slash", "😀"])
values = st.one_of(
    st.integers(),
    st.text(max_size=20),
    st.just({"": {"crc": "00000000", "bytes": 1}}),
    st.integers(0, 9000).map(lambda size: "x" * size),
)
ttls = st.one_of(st.none(), st.sampled_from([0.5, 10, 1000]))


class Known:
    """What must be found under a key."""

    def __init__(self, value, expires_at):
        self.value = value
        self.expires_at = expires_at


class StoreMachine(RuleBasedStateMachine):
    @initialize(sync=st.sampled_from(["always", "interval", "never"]))
    def begin(self, sync):
        self.directory = tempfile.TemporaryDirectory(dir=MEMORY, prefix="kvd-")
        self.path = Path(self.directory.name) / "store.json"
        self.clock = Clock()
        self.latest = self.clock()
        self.sync = sync
        self.known = {}
        self.number = 0
        self.last = None
        self.compaction = None
        self.open()

    def open(self):
        self.store = Opened(
            self.path, self.clock, sync=self.sync, max_file_bytes=MAX_FILE_BYTES, compact_min_bytes=1 << 30
        )

    def teardown(self):
        if hasattr(self, "directory"):
            self.store.close()
            assert_sound(self.path)
            self.directory.cleanup()

    # What is known.

    def must(self, key):
        """Tell whether a key must exist. None: it had expired, and the clock was set back since."""
        known = self.known.get(key)
        if known is None or (known.expires_at is not None and known.expires_at <= self.clock()):
            return False
        return None if known.expires_at is not None and known.expires_at <= self.latest else True

    def carry_out(self, operation):
        results = self.store.do(operation)
        if not results:
            self.finish_compaction()
            self.store.compact()
            results = self.store.do(operation)
        assert len(results) == 1, "a compaction decides whether it fits"
        if isinstance(results[0], int) and operation.id is not None:
            self.last = (operation, results[0])
        return results[0]

    def next_id(self):
        self.number += 1
        return f"client:{self.number}"

    # Rules.

    @rule(items=st.dictionaries(keys, values, min_size=1, max_size=4), ttl=ttls)
    def create(self, items, ttl):
        must = {self.must(key) for key in items}
        result = self.carry_out(create_all({key: encoded(value) for key, value in items.items()}, ttl, self.next_id()))
        if isinstance(result, KeyExistsError):
            assert must != {False}
            assert all(self.must(key) is not False for key in result.keys)
        elif isinstance(result, StoreFullError):
            assert True not in must
        else:
            assert isinstance(result, int)
            assert True not in must
            self.note(items, ttl)

    def note(self, items, ttl):
        expires_at = None if ttl is None else self.clock() + ttl
        self.known |= {key: Known(value, expires_at) for key, value in items.items()}

    @rule(key=keys)
    def delete(self, key):
        must = self.must(key)
        result = self.carry_out(delete(key, self.next_id()))
        if isinstance(result, KeyNotFoundError):
            assert must is not True
        else:
            assert isinstance(result, int)
            assert must is not False
            del self.known[key]

    @precondition(lambda self: self.last is not None)
    @rule()
    def repeat(self):
        """The client did not hear the reply and asks again."""
        operation, revision = self.last
        if operation.id == f"client:{self.number}":
            assert [revision] == self.store.do(operation)

    @rule(most=st.integers(1, 5))
    def sweep(self, most):
        result = self.carry_out(Sweep(most))
        assert not isinstance(result, DataStoreError)

    @rule(seconds=st.sampled_from([0.25, 0.5, 10, 600, -0.25, -5, -600]))
    def step_clock(self, seconds):
        self.clock.now += seconds
        self.latest = max(self.latest, self.clock())

    @rule(steps=st.integers(1, 6))
    def step_compaction(self, steps):
        if self.compaction is None:
            self.compaction = self.store.store.compact()
        while steps > 0 and self.compaction is not None:
            steps -= 1
            job = next(self.compaction, self)
            if job is self:
                self.compaction = None
            elif job is not None:
                steps += job.alone  # until the next step no commit may come
                self.run_job(job)

    def run_job(self, job):
        try:
            job.run()
        except StoreFullError as error:
            with pytest.raises(StoreFullError):
                self.compaction.throw(error)
            self.compaction = None

    def finish_compaction(self):
        while self.compaction is not None:
            self.step_compaction(1000)

    @rule(items=st.dictionaries(keys, values, min_size=1, max_size=4), ttl=ttls, deleted=keys)
    def write_during_a_compaction(self, items, ttl, deleted):
        self.step_compaction(1)
        self.create(items, ttl)
        self.delete(deleted)
        self.finish_compaction()

    @rule()
    def give_up_compaction(self):
        """As a daemon does that is stopped."""
        if self.compaction is not None:
            self.compaction.close()
            self.compaction = None
            if self.store.engine._move is not None:  # the file is in place, and only the index was to be moved
                self.reopen()

    @rule()
    def interrupt_compaction(self):
        """Ctrl-C right behind the rename: nothing may be written to the file that is no longer there."""
        self.finish_compaction()
        compaction = self.store.store.compact()
        for job in compaction:
            if job is not None and job.alone:
                try:
                    job.run()
                except StoreFullError:
                    break
                compaction.close()
                with pytest.raises(EngineFailure):
                    self.store.create("never", 1)
                self.reopen()
                return
        compaction.close()

    @rule()
    def sync_to_disk(self):
        self.store.engine.sync()

    @rule()
    def reopen(self):
        if self.compaction is not None:
            self.compaction.close()
            self.compaction = None
        self.store.close()
        assert_sound(self.path)
        self.open()

    @rule()
    def crash(self):
        self.compaction = None
        self.store.crash()
        self.open()

    @rule(
        items=st.dictionaries(keys, values, min_size=1, max_size=4),
        ttl=ttls,
        share=st.floats(0, 1),
        garbage=st.binary(max_size=300),
        short=st.booleans(),
    )
    def crash_in_a_write(self, items, ttl, share, garbage, short):
        """Only a part of a commit reaches the file, perhaps with garbage after it, or the file ends there."""
        group = self.store.decide(create_all({key: encoded(value) for key, value in items.items()}, ttl))
        self.compaction = None
        whole = False
        if group.staged is not None:
            staged, engine = group.staged, self.store.engine
            fd, stop = engine._tail.fd, staged.offset + len(staged.data)
            if stop > engine.size - len(CLOSING):  # the spaces come before the commit
                engine._tail.extend(stop)
            written = int(len(staged.data) * share)
            if written == len(staged.data) - 1 and (staged.offset + written) % _SECTOR:
                written -= 1  # no crash leaves out the newline alone, unless a sector begins with it
            whole = written == len(staged.data) and not short
            torn = staged.data[:written] + (b"" if whole else garbage)
            os.pwrite(fd, torn, staged.offset)
            if short:
                os.ftruncate(fd, staged.offset + len(torn))
            whole = whole or staged.data == torn[: len(staged.data)]
        self.store.crash()
        self.open()
        if whole:
            self.note(items, ttl)

    # What holds after each of them.

    @invariant()
    def everything_is_there(self):
        if not hasattr(self, "store"):
            return
        found = self.store.contents()
        for key in {*found, *self.known}:
            must = self.must(key)
            if must is not None:
                assert must == (key in found), key
            if key in found:
                assert self.known[key].value == found[key]
        others = as_others_read(self.path, self.clock())
        for key in {*found, *others}:
            if self.must(key) is not None:
                assert found[key] == others[key]
        assert self.path.stat().st_size <= MAX_FILE_BYTES
        assert [] == [path.name for path in self.path.parent.glob("*.damaged*")]


@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("many_openings")
def test_store_through_crashes(long):
    """Whatever is done to a store, and however it ends, what it then holds is what the model says."""
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=2000 if long else 200,
            stateful_step_count=60 if long else 40,
            suppress_health_check=list(HealthCheck),
        ),
    )
