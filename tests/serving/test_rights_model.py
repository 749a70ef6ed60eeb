"""Rights against a model: what a peer sees is what a filter over a dict leaves, on every page and for every prefix."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvclient import AccessDeniedError
from kvd.access import Access
from kvd.backend.file.store.operations import READS
from kvd.processes import Identity, unit_in
from kvd.requests.twins import TWINS
from kvd.server.rights import AccessList, Rights, shortest
from stores import Opened

OTHER = 64_001

texts = st.text("ab\ud7ff\ue000\U0010ffff", max_size=3)
prefixes = st.lists(texts, max_size=4)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Opened(tmp_path_factory.mktemp("rights") / "store.json", sync="never") as opened:
        yield opened


def answer(store, op, **fields):
    """Ask what was let pass, and return the reply."""
    steps = READS[op](store.keys, fields["request"])
    while not isinstance(steps, bytes):
        try:
            next(steps)
        except StopIteration as end:
            steps = end.value
    return json.loads(steps)


def let_pass(rights, op, **fields):
    request = TWINS[op](**fields)
    rights.apply_to(request)
    return request


@given(keys=st.sets(texts.filter(bool), max_size=20), readable=prefixes, prefix=texts, limit=st.integers(1, 5))
def test_a_list_is_a_filter(store, keys, readable, prefix, limit):
    """In the order of the keys, with no empty page but the last, no key left out or twice; a count is its length."""
    there = store.keys.engine.keys()
    for key in there:
        store.delete(key)
    if keys:
        store.batch(dict.fromkeys(keys, 1))
    rights = Rights("somebody", shortest(readable))
    expected = sorted(key for key in keys if key.startswith(prefix) and key.startswith(tuple(readable)))
    if not any(each.startswith(prefix) or prefix.startswith(each) for each in readable):
        for op in ("list", "count", "watch"):
            with pytest.raises(AccessDeniedError):
                let_pass(rights, op, prefix=prefix)
        return

    found, after, more = [], "", True
    while more:
        page = answer(store, "list", request=let_pass(rights, "list", prefix=prefix, after=after, limit=limit))
        more = page["more"]
        assert len(page["entries"]) == limit or not more
        found += [entry["key"] for entry in page["entries"]]
        after = found[-1] if found else ""

    assert expected == found
    assert len(expected) == answer(store, "count", request=let_pass(rights, "count", prefix=prefix))["count"]


@given(readable=prefixes, writable=prefixes, key=texts.filter(bool))
def test_a_key_is_covered_or_not(readable, writable, key):
    """By any of the prefixes, for each right by itself."""
    rights = Rights("somebody", shortest(readable), shortest(writable))
    may = {"read": key.startswith(tuple(readable)), "write": key.startswith(tuple(writable))}

    for op, needs in (("read", ["read"]), ("delete", ["write"]), ("pop", ["read", "write"])):
        if all(may[need] for need in needs):
            let_pass(rights, op, key=key)
        else:
            with pytest.raises(AccessDeniedError) as caught:
                let_pass(rights, op, key=key)
            assert (key,) == caught.value.keys


@given(writable=prefixes, prefix=texts)
def test_a_clear_needs_all_of_its_prefix(writable, prefix):
    """It is passed as it is, or not at all."""
    rights = Rights("somebody", (), shortest(writable))
    if prefix.startswith(tuple(writable)):
        assert prefix == let_pass(rights, "clear", prefix=prefix).prefix
    else:
        with pytest.raises(AccessDeniedError):
            let_pass(rights, "clear", prefix=prefix)


class TestAccessList:
    def identity(self, uid=OTHER, gid=OTHER, **more):
        return Identity(pid=0, uid=uid, gid=gid, accepted=0.0, **more)

    def test_what_several_tables_give_adds_up(self):
        """By uid and by group, and nothing that is covered is there twice."""
        tables = (
            Access(uid=OTHER, read=("b", "a")),
            Access(gid=7, read=("ab", "c"), write=("",)),
            Access(uid=OTHER + 1, read=("",)),
        )

        rights = AccessList(tables).rights_of(self.identity(groups=(7,)), None)

        assert Rights(f"uid {OTHER}", ("a", "b", "c"), ("",)) == rights

    def test_a_key_has_its_own_tables_alone(self):
        """Whoever it comes from: it is the key that was trusted."""
        tables = (Access(key="laptop", read=("a",)), Access(uid=0, read=("",)))

        assert Rights("key laptop", ("a",)) == AccessList(tables).rights_of(None, "laptop")
        assert AccessList(tables).rights_of(None, "other").none
        assert AccessList().rights_of(None, "laptop").none

    def test_who_has_no_key_over_tcp_may_do_all_only_without_tables(self):
        """Then nothing was said of rights."""
        assert AccessList().rights_of(None, None) is None
        assert AccessList((Access(uid=1, read=("",)),)).rights_of(None, None).none

    def test_the_owner_and_root_may_do_everything(self):
        """They could read the file as well."""
        assert AccessList((Access(uid=0, read=("",)),)).rights_of(self.identity(uid=0), None) is None

    def test_who_cannot_be_told_from_others_has_no_right(self, monkeypatch):
        """In a user namespace all others have the same uid: a table for that one is nobody's."""
        monkeypatch.setattr("kvd.server.rights.users_are_told_apart", lambda: lambda number: number != 65_534)
        tables = (Access(uid=65_534, read=("",)), Access(gid=65_534, read=("",)))

        rights = AccessList(tables).rights_of(self.identity(uid=65_534, gid=65_534), None)

        assert rights.none
        assert "user namespace" in rights.who
        assert AccessList(tables).rights_of(self.identity(uid=7, gid=65_534), None).none


@pytest.mark.parametrize(
    ("groups", "unit"),
    [
        ("0::/system.slice/backup.service\n", "backup.service"),
        ("0::/system.slice/system-getty.slice/getty@tty1.service\n", "getty@tty1.service"),
        ("0::/system.slice/docker-1f.scope/init\n", "docker-1f.scope"),
        ("0::/system.slice/_cgroup.service\n", "cgroup.service"),
        ("9:name=systemd:/system.slice/a.service\n4:memory:/x/b.service\n0::/\n", "a.service"),
        # A user's units are in that user's hands, whatever they are called.
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/backup.service\n", "user@1000.service"),
        ("0::/user.slice/user-1000.slice/session-1.scope\n", "session-1.scope"),
        ("0::/../../backup.service\n", None),
        ("0::/\n", None),
        ("", None),
    ],
)
def test_the_unit_of_a_control_group(groups, unit):
    """Is the system's: what comes first below the slices."""
    assert unit == unit_in(groups)
