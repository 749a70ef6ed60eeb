"""Owners, results and clears: what the file keeps beside keys and values, across starts, compactions and repairs."""

import json
import zlib

import pytest

from engines import OWNER, OpenedEngine, put, remove
from kvd.backend.file.engine import outcomes as module
from kvd.backend.file.engine.check import check
from kvd.backend.file.engine.footnote import read_footnote, split_results
from kvd.backend.file.engine.format import CLOSING, Found, encode_commit
from kvd.backend.file.engine.interface import LOST, Clear, Commit, Outcome, Owner, Removal
from kvd.backend.file.engine.repair import repair
from kvd.backend.file.engine.scan import walk
from stores import as_others_read, assert_sound

RESULT = b'"value":{"":"},\\"client\\":null"},"expires_at":1.5e3'

OUTCOMES = {
    "one": Outcome(1, 4, RESULT),
    'quo"te}': Outcome(2, 5, b'"value":1'),
    "two": Outcome(9, 6),
    "gone": Outcome(3, 7, LOST),
}
"""What `fill` leaves."""


@pytest.fixture
def path(memory):
    return memory / "store.json"


def commits_of(path):
    with path.open("rb") as file:
        return [found for found in walk(file.fileno(), path.stat().st_size) if isinstance(found, Found)]


def fill(opened):
    """Commit something of each kind, and tell what must be found after it."""
    opened.commit(
        put("a", b"1", 1), put("lock", b'"mine"', 2, owner=OWNER), put("lent", b"2", 3, 2e9, OWNER._replace(pid=1))
    )
    opened.commit(put("a", b"2", 4), outcomes={"one": OUTCOMES["one"]})
    opened.commit(
        put("n", b"1", 5),
        put("n", b"2", 6),
        remove("a", 7, "expired"),
        outcomes={client: OUTCOMES[client] for client in ('quo"te}', "two", "gone")},
    )
    opened.commit(put("x1", b"1", 8), put("x2", b"2", 9))
    opened.commit(revision=11, clear=Clear('x"', 10))
    opened.commit(revision=11, cleared=10)
    opened.commit(revision=13, clear=Clear("x", 13))
    opened.commit(remove("x1", 12), revision=13)


def assert_filled(opened):
    assert {"lock": OWNER, "lent": OWNER._replace(pid=1)} == dict(opened.engine.owners())
    assert OUTCOMES == opened.engine.outcomes
    assert [Clear("x", 13)] == opened.engine.clears
    expected = {"lock": (b'"mine"', 2), "lent": (b"2", 3), "n": (b"2", 6), "x2": (b"2", 9)}
    assert expected == opened.state()
    assert 13 == opened.engine.revision


def test_a_new_start_finds_everything(path):
    """Owners, results and pending clears are found again after a crash and after a clean end."""
    opened = OpenedEngine(path)
    fill(opened)
    opened.crash()
    for _ in range(2):
        with OpenedEngine(path) as opened:
            assert_filled(opened)
    assert_sound(path)


def test_a_compaction_keeps_everything(path):
    """What a compaction copies has its owner, and clears and results are carried over."""
    with OpenedEngine(path) as opened:
        fill(opened)
        opened.compact(OUTCOMES)
        assert {"lock", "lent"} == {key for key, _ in opened.engine.owners()}
        assert 0 == opened.engine.reclaimable
    with OpenedEngine(path) as opened:
        assert_filled(opened)
    assert_sound(path)


def test_a_repair_keeps_everything(path):
    """A damaged commit costs what is in it, and no owner, result or clear besides."""
    with OpenedEngine(path) as opened:
        fill(opened)
    data = path.read_bytes()
    assert 1 == data.count(b',"x1":{"revision":8')
    path.write_bytes(data.replace(b',"x1":{"revision":8', b',"x1":["revision":8'))
    assert repair(path).kept is not None
    with OpenedEngine(path) as opened:
        assert 2 == len(dict(opened.engine.owners()))
        assert RESULT == opened.engine.outcomes["one"].fields
        assert LOST == opened.engine.outcomes["gone"].fields
        assert [Clear("x", 13)] == opened.engine.clears
        assert 13 == opened.engine.history_from
    assert_sound(path)


def test_a_rescue_keeps_owners_and_clears(path):
    """What is saved beside a file that was interfered with has them, too."""
    with OpenedEngine(path) as opened:
        fill(opened)
        rescued = path.with_name(opened.engine.rescue(lambda: None).rpartition("/")[2])
    with OpenedEngine(rescued) as opened:
        assert 2 == len(dict(opened.engine.owners()))
        assert [Clear("x", 13)] == opened.engine.clears
    assert_sound(rescued)


def test_other_programs_see_what_is_live(path):
    """A footnote is under the empty name, which is the file's own; entries with an owner are entries."""
    with OpenedEngine(path) as opened:
        fill(opened)
        assert {"lock": "mine", "lent": 2, "n": 2, "x2": 2} == as_others_read(path, 0)


def test_every_cut_leaves_whole_commits(path):
    """A file that ends at any byte opens with the commits that are whole in it, their footnotes included."""
    opened = OpenedEngine(path)
    fill(opened)
    opened.crash()
    data, whole = path.read_bytes(), commits_of(path)
    cut = path.with_name("cut.json")
    expected = {}
    for number in range(len(whole) + 1):
        stop = whole[number - 1].stop if number else whole[0].start
        cut.write_bytes(data[:stop] + CLOSING)
        with OpenedEngine(cut) as opened:
            expected[number] = seen(opened)
    assert len({str(found) for found in expected.values()}) > len(whole) - 2
    for size in range(whole[0].start, whole[-1].stop + 1):
        cut.write_bytes(data[:size])
        with OpenedEngine(cut) as opened:
            assert expected[sum(commit.stop <= size for commit in whole)] == seen(opened), f"cut at {size}"
        assert_sound(cut)


def seen(opened):
    engine = opened.engine
    return opened.state(), dict(engine.owners()), engine.outcomes, engine.clears, opened.events(engine.history_from)


@pytest.mark.parametrize(
    "removed",
    [
        [Removal(9)],
        [Removal(7), Removal(8), Removal(9)],
    ],
)
def test_usual_removals_need_no_footnote(removed):
    """A single delete, or one that removes many in a commit of its own, costs no further line."""
    commit = Commit(9, 0.0, [(f"k{at}", removal) for at, removal in enumerate(removed)], {})
    assert b'"removed"' not in encode_commit(commit, 0).data


def test_an_owner_is_counted_once(path):
    """Whatever becomes of a key with an owner, the live bytes stay those that the file has."""
    with OpenedEngine(path) as opened:
        opened.commit(put("a", b"1", 1, owner=OWNER))
        opened.commit(put("a", b"1", 2, owner=Owner(1, 2, "b", 3)))
        opened.commit(put("a", b"1", 3))
        assert {} == dict(opened.engine.owners())
        opened.commit(put("a", b"1", 4, owner=OWNER))
        live = opened.engine.live_bytes
    with OpenedEngine(path) as opened:
        assert live == opened.engine.live_bytes
        opened.commit(remove("a", 5, "released"))
        assert (0, {}) == (opened.engine.live_bytes, dict(opened.engine.owners()))


def test_results_are_bounded_when_a_file_is_opened(path, monkeypatch):
    """Of more results than are kept, the latest clients' are there; the others are known to be lost."""
    monkeypatch.setattr(module, "RESULT_BYTES", 1000)
    with OpenedEngine(path) as opened:
        for number in range(1, 11):
            outcome = Outcome(number, number, b'"value":"%s"' % (b"x" * 290))
            opened.commit(put("n", b"1", number), outcomes={f"c{number}": outcome})
    with OpenedEngine(path) as opened:
        kept = [client for client, outcome in opened.engine.outcomes.items() if outcome.fields != LOST]
        assert (10, ["c8", "c9", "c10"]) == (len(opened.engine.outcomes), kept)


def test_results_are_bounded_in_a_compaction(path):
    """They take a sixteenth of the largest file at most; where a result goes, its request stays known."""
    outcomes = {f"c{number}": Outcome(number, 1, b'"value":"%s"' % (b"x" * 900)) for number in range(20)}
    with OpenedEngine(path, max_file_bytes=64_000) as opened:
        opened.commit(put("a", b"1", 1))
        opened.compact(outcomes)
        assert opened.engine.used_bytes < 4000 + 300
    with OpenedEngine(path) as opened:
        assert list(outcomes) == list(opened.engine.outcomes)
        kept = [client for client, outcome in opened.engine.outcomes.items() if outcome.fields != LOST]
        assert kept == list(outcomes)[-len(kept) :]
        assert 2 <= len(kept) <= 4


def test_many_results_are_compacted_in_groups(path, monkeypatch):
    """Results are written in commits of bounded size, and found in their clients' order."""
    monkeypatch.setattr(module, "GROUP_BYTES", 500)
    outcomes = {f"c{number}": Outcome(number, 1, b'"value":%d' % number if number % 3 else b"") for number in range(99)}
    with OpenedEngine(path) as opened:
        opened.commit(put("a", b"1", 1))
        opened.compact(outcomes)
        assert 0 == opened.engine.reclaimable
    assert len(commits_of(path)) > 2
    with OpenedEngine(path) as opened:
        assert list(outcomes.items()) == list(opened.engine.outcomes.items())


def test_a_compaction_writes_in_the_order_asked_for(path):
    """With all keys given, entries lie in that order; with too few, none is missed."""
    with OpenedEngine(path) as opened:
        opened.commit(put("b", b"1", 1), put("c", b"2", 2), put("a", b"3", 3))
        opened.compact(keys=iter(["a", "b", "c"]))
        assert ["a", "b", "c"] == sorted("abc", key=lambda key: opened.engine.find(key).address)
        opened.compact(keys=["a"])
        assert {"a": (b"3", 3), "b": (b"1", 1), "c": (b"2", 2)} == opened.state()


def test_the_cost_is_an_upper_bound(path):
    """Near the limit and far from it, a commit takes no more bytes than its operations were said to cost."""
    owner = Owner(1 << 22, 1 << 60, "0" * 36, 1 << 32)
    changes = [
        put('k"ü', b"1", 1 << 50),
        put("expiring", b'"x"', 2, 1.7976931348623157e308, owner),
        remove("k" * 100, 1 << 50, "released"),
        remove("gone", 7),
    ]
    clear = Clear('p"' * 10, 1 << 50)
    for most in (1 << 30, 4096):
        with OpenedEngine(path, max_file_bytes=most) as opened:
            cost = opened.engine.cost(changes, "client", b'"value":7', clear)
            commit = Commit(1 << 50, 1.8e9, changes, {"client": Outcome(1 << 50, 1 << 50, b'"value":7')}, clear)
            bare = Commit(1 << 50, 1.8e9, [], {})
            used = len(encode_commit(commit, 0, aligned=False).data) - len(encode_commit(bare, 0, aligned=False).data)
            assert used <= cost


@pytest.mark.parametrize(
    ("footnote", "doubt"),
    [
        (b'{"removed":[1,2]}', "a footnote of 2 removals for 0 removed keys"),
        (b'{"removed":[[1,"stolen"]]}', "is no removal"),
        (b'{"cleared":7}', "the end of a clear of revision 7"),
        (b'{"clear":{"prefix":"","revision":9}}', "a clear of revision 9 in a commit of revision 1"),
        (b'{"results":{"nobody":{"value":1}}}', "a result for client 'nobody'"),
        (b'{"results":{"nobody":7', "bytes that are no entry"),
        (b'{"other":7}', "bytes that are no entry"),
    ],
)
def test_check_names_footnotes_that_do_not_fit(path, footnote, doubt):
    """With a right checksum they are another program's work: told, with the place, and no reason to refuse the file."""
    with OpenedEngine(path) as opened:
        opened.commit(put("a", b"1", 1))
    data = path.read_bytes()
    commit = commits_of(path)[-1]
    body = commit.body + b',"":' + footnote + b"\n"
    checked = b'"bytes":%9d,"revision":1,"time":1.5}%s' % (len(body), body)
    path.write_bytes(data[: commit.start] + b',"":{"crc":"%08x",%s' % (zlib.crc32(checked), checked) + CLOSING)

    (place,) = check(path).suspicious
    assert f"byte {commit.start} (line 3)" in place
    assert doubt in place


def test_a_change_above_its_commit_is_suspicious(path):
    """No entry is of a later revision than the commit that has it."""
    with OpenedEngine(path) as opened:
        opened.commit(put("a", b"1", 5), revision=4)
    (place,) = check(path).suspicious
    assert "a change of revision 5 in a commit of revision 4" in place


def test_a_footnote_is_neither_marker_nor_entry():
    """Whatever clients and values are called, the line begins as neither does, and comes back as it was."""
    trap = '","bytes":1},"":{"crc":"00000000"'
    commit = Commit(1, 0.0, [], {trap: Outcome(1, 1, b'"value":"\\n,\\"\\":{\\"crc\\":\\"00000000\\""')})
    line = encode_commit(commit, 0).data.partition(b'"time":0.000,')[2].partition(b"]}}")[2]

    assert line.startswith(b',"":{"results":{')
    assert [(json.dumps(trap).encode(), commit.outcomes[trap].fields)] == [*split_results(read_footnote(line).results)]
