"""Random operations of all kinds against a dict, through every way in: the store, `LocalDataStore`, and the wire."""

import os
import sys
import tempfile
from copy import deepcopy
from pathlib import Path

import hypothesis.strategies as st
import pytest
from drivers import DaemonDriver, LocalDriver, StoreDriver
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from model import Model, Refused
from processes import wait_until
from stores import assert_sound
from watch_checker import Checker, Gap

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
LATER_FROM = 2
"""Clears of more keys remove them afterwards; in a daemon that takes a thousand."""
SHORT, LONG = 10.0, 10_000.0
SOONEST = 0.001
"""What a daemon is told instead of `SHORT`; whoever asked waits until it is over."""

keys = st.sampled_from(["a", "ab", "b:1", "b:2", "b:3", "ключ", 'quo"te', "😀"])
prefixes = st.sampled_from(["", "a", "b:", "ab", "none"])
values = st.one_of(st.integers(-5, 5), st.sampled_from([0.5, None, True, "text", [1, {"": "x"}], "x" * 300]))
ttls = st.sampled_from([None, None, SHORT, LONG])
conditions = st.sampled_from([None, None, None, "absent", "current", "wrong"])
numbers = st.sampled_from([1, -3, 0.5, 10**30])
CHANGES = ["create", "put", "update", "delete", "pop", "increment", "expire"]


@st.composite
def changes(draw, among=tuple(CHANGES)):
    """Draw a change of one key; `if_revision` is a condition, to be made a number when it is sent."""
    op, key = draw(st.sampled_from(among)), draw(keys)
    request = {"op": op, "key": key}
    if op in ("create", "put", "update"):
        request["value"] = draw(values)
    if op in ("create", "put", "update", "increment", "expire"):
        request["ttl"] = draw(ttls)
    if op in ("put", "update") and request["ttl"] is None and draw(st.booleans()):
        request["keep_ttl"] = True
    if op in ("put", "update", "delete", "pop"):
        request["if_revision"] = draw(conditions)
    if op == "increment":
        request |= {"by": draw(numbers), "initial": draw(st.sampled_from([0, 7]))}
    return request


several = st.one_of(
    st.builds(
        lambda items, ttl: {"op": "batch_create", "items": items, "ttl": ttl},
        st.dictionaries(keys, values, max_size=4),
        ttls,
    ),
    st.builds(lambda wanted: {"op": "delete_many", "keys": wanted}, st.lists(keys, max_size=4)),
    st.builds(lambda prefix: {"op": "clear", "prefix": prefix}, prefixes),
    st.builds(lambda members: {"op": "batch", "operations": members}, st.lists(changes(), max_size=4)),
)
reads = st.one_of(
    st.builds(lambda op, key: {"op": op, "key": key}, st.sampled_from(["read", "exists"]), keys),
    st.builds(lambda prefix: {"op": "count", "prefix": prefix}, prefixes),
    st.builds(lambda wanted: {"op": "read_many", "keys": wanted}, st.lists(keys, max_size=5)),
    st.builds(
        lambda prefix, after, limit, shown: {
            "op": "list",
            "prefix": prefix,
            "after": after,
            "limit": limit,
            "values": shown,
        },
        prefixes,
        st.sampled_from(["", "a", "b:1", "b:9", "zzz"]),
        st.integers(1, 5),
        st.booleans(),
    ),
)


class Machine(RuleBasedStateMachine):
    """A store that is asked for things, and the model that says what comes of it."""

    driver_class = StoreDriver

    @initialize()
    def begin(self):
        self.directory = tempfile.TemporaryDirectory(dir=MEMORY, prefix="kvd-")
        self.driver = self.driver_class(Path(self.directory.name))
        self.real_time = self.driver_class is DaemonDriver
        self.model = Model()
        self.number = 0
        self.last = None
        self.checker = Checker(0, (), {})
        self.told = []
        self.may_lack = False
        self.look()

    def teardown(self):
        if hasattr(self, "driver"):
            self.driver.close()
            assert_sound(self.driver.file)
            self.directory.cleanup()

    # Asking.

    def resolved(self, request):
        """Return a request with numbers for its conditions, and with TTLs as the driver's time takes them."""
        request = {name: value for name, value in request.items() if value is not None or name in ("value", "ttl")}
        if request.get("ttl", ...) is None and request["op"] != "expire":
            del request["ttl"]
        if self.real_time and request.get("ttl") == SHORT:
            request["ttl"] = SOONEST
        if condition := request.get("if_revision"):
            known = self.model.live(self.driver.clock()).get(request["key"])
            current = 0 if known is None else known.revision
            request["if_revision"] = {"absent": 0, "current": current, "wrong": current + 1}[condition]
        if "operations" in request:
            request["operations"] = [self.resolved(member) for member in request["operations"]]
        return request

    def compare(self, request, reply, now):
        """Have the model carry out what was asked, and compare the reply."""
        wanted = self.model.perform(request, now)
        if isinstance(wanted, Refused):
            assert (False, wanted.error) == (reply["ok"], reply.get("error")), (request, reply)
            assert (wanted.keys, wanted.index) == (reply["keys"], reply.get("index"))
            return
        assert reply["ok"], (request, reply)
        found = deepcopy(reply)
        del found["ok"]
        if request["op"] in CHANGES or request["op"] in ("batch", "batch_create", "delete_many", "clear"):
            self.model.settle(found.pop("revision"))
        if request["op"] == "clear":
            self.checker._unseen.add(reply["revision"])
        if request["op"] == "batch":
            for member, result in zip(request["operations"], found["results"], strict=True):
                revision = result.pop("revision")
                if member["key"] in self.model.keys:
                    self.model.keys[member["key"]] = self.model.keys[member["key"]]._replace(revision=revision)
        self.assert_same(wanted, found)

    def assert_same(self, wanted, found):
        """Compare; in real time nobody knows to the microsecond when something expires."""
        if self.real_time:
            wanted, found = without_times(wanted), without_times(found)
        assert wanted == found

    def change(self, request, *, identified):
        request = self.resolved(request)
        if identified:
            self.number += 1
            request["id"] = f"client:{self.number}"
        before = self.driver.clock()
        reply = self.driver.ask(request)
        self.compare(request, reply, before)
        if identified:
            self.last = request, reply
        self.wait_for_the_soonest(before)

    def wait_for_the_soonest(self, before):
        if self.real_time:
            for key, known in list(self.model.keys.items()):
                if known.expires_at is not None and known.expires_at < before + 1:
                    wait_until(lambda key=key: not self.driver.ask({"op": "exists", "key": key})["exists"])
                    del self.model.keys[key]

    # Rules.

    @rule(request=changes(), identified=st.booleans())
    def change_one(self, request, identified):
        self.change(request, identified=identified)

    @rule(request=several, identified=st.booleans())
    def change_several(self, request, identified):
        self.change(request, identified=identified)

    @rule(requests=st.lists(changes(("create", "put", "delete", "expire", "pop")), min_size=2, max_size=4))
    def change_in_one_group(self, requests):
        """What shares a commit, with each other and with what the store does by itself."""
        if self.real_time:
            requests = requests[:1]  # what was to expire has to be waited for
        now = self.driver.clock()
        sent = [self.resolved({**request, "if_revision": None}) for request in requests]
        for request, reply in zip(sent, self.driver.ask_all(sent, upkeep=True), strict=True):
            self.compare(request, reply, now)
        self.wait_for_the_soonest(now)

    @rule(request=reads)
    def read(self, request):
        self.compare(request, self.driver.ask(request), self.driver.clock())

    @precondition(lambda self: self.last is not None)
    @rule()
    def repeat(self):
        """The client did not hear the reply and asks again; and it asks for what is long past."""
        request, reply = self.last
        assert reply == self.driver.ask(request)
        if self.number > 1:
            older = self.driver.ask({**request, "id": "client:0"})
            assert "RequestError" == older["error"]

    @rule(seconds=st.sampled_from([0.0123456, SHORT, SHORT, LONG]))
    def step_clock(self, seconds):
        self.driver.step_clock(seconds)

    @rule(most=st.sampled_from([1, 2, 1000]))
    def chores(self, most):
        self.driver.chores(most)

    @rule()
    def compact(self):
        self.may_lack = True
        self.driver.compact()

    def ended(self):
        """Refusals, and successes that changed nothing, are not remembered across a restart."""
        request, reply = self.last or (None, {"ok": False})
        if not reply["ok"] or request["op"] in ("delete_many", "clear", "batch", "batch_create"):
            self.last = None

    @rule()
    def reopen(self):
        self.driver.reopen()
        self.ended()

    @rule()
    def crash(self):
        self.driver.crash()
        self.ended()

    # Watching.

    @rule()
    def look(self):
        """Be told what came since: everything, once, in order. Only what a compaction took may be missing."""
        revision = self.checker.last
        while True:
            reply = self.driver.ask({"op": "watch", "after": revision, "limit": 3})
            if not reply["ok"]:
                assert ("RevisionGoneError", True) == (reply["error"], self.may_lack), reply
                gap = Gap(self.driver.ask({"op": "watch"})["revision"])
                self.checker.follow([gap])
                self.told.clear()
                break
            self.checker.follow(reply["events"])
            self.told += reply["events"]
            revision = reply["revision"]
            if not reply["events"]:
                break
        self.checker.last = max(revision, self.checker.last)
        assert [] == self.checker.problems, self.checker.problems

    @rule()
    def read_history(self):
        """What is told once more, by whatever remembers it now, is what was told before."""
        self.look()
        if not self.told or self.told[0]["revision"] == 0:
            return
        revision, again = self.told[0]["revision"] - 1, []
        while True:
            reply = self.driver.ask({"op": "watch", "after": revision})
            if not reply["ok"]:
                assert ("RevisionGoneError", True) == (reply["error"], self.may_lack), reply
                return
            if not reply["events"]:
                break
            again += reply["events"]
            revision = reply["revision"]
        assert self.told == again[: len(self.told)], (self.told, again)

    @rule()
    def settle(self):
        """When the store has done all that it has to do, the events have led to what is there."""

        def led_there():
            self.driver.chores(1000)
            self.look()
            now = self.driver.clock()
            live = {key: known.value for key, known in self.model.live(now).items()}
            if not self.checker.gaps:
                return self.checker.keys == live
            return all(key in live and live[key] == value for key, value in self.checker.keys.items())

        wait_until(led_there, seconds=1 if self.driver_class is StoreDriver else 30)

    # What holds after each of them.

    @invariant()
    def everything_is_there(self):
        if hasattr(self, "driver"):
            for request in ({"op": "list", "values": True}, {"op": "count"}, {"op": "count", "prefix": "b:"}):
                self.compare(request, self.driver.ask(request), self.driver.clock())


class LocalMachine(Machine):
    driver_class = LocalDriver


class DaemonMachine(Machine):
    driver_class = DaemonDriver


def without_times(fields):
    if isinstance(fields, list):
        return [without_times(each) for each in fields]
    if isinstance(fields, dict):
        return {name: without_times(each) for name, each in fields.items() if name != "expires_at"}
    return fields


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("machine", "examples", "steps"), [(Machine, 60, 40), (LocalMachine, 15, 40), (DaemonMachine, 4, 30)]
)
def test_every_operation_means_what_the_model_says(machine, examples, steps, long, monkeypatch):
    """Replies, contents, counts, pages and events are those of a dict, through expiry, clears that are written down
    later, compactions, restarts and crashes.
    """
    monkeypatch.setattr(sys.modules["kvd.backend.file.store.operations.clear"], "AT_ONCE", LATER_FROM)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20 * examples if long else examples,
            stateful_step_count=2 * steps if long else steps,
            suppress_health_check=list(HealthCheck),
        ),
    )
