"""A data file that a person has edited and that is still one valid JSON object loses nothing by it."""

import itertools
import json
import subprocess

import pytest

from kvclient import Client
from kvclient.contract.errors import KeyNotFoundError, StoreCorruptError, StoreFullError
from kvd.backend.file.engine.check import check
from kvd.backend.file.engine.format import CLOSING
from kvd.backend.file.engine.interface import Outcome
from kvd.backend.file.engine.repair import repair
from processes import KVD, Daemon
from stores import Opened, as_others_read, assert_sound, contents


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.json"


@pytest.fixture
def closed(path):
    """A file that a daemon has closed: a setting that somebody may want to change, and keys around it."""
    with Opened(path) as store:
        fill(store)
    return path


def fill(store):
    store.create("before", [1, 2, 3])
    store.create("config", {"debug": False, "name": "x"}, ttl=10_000, id="client:1")
    store.batch({"one": 1, "two": 2}, id="client:2")
    store.create("after", "text", id="client:3")


THERE = {"before": [1, 2, 3], "config": {"debug": False, "name": "x"}, "one": 1, "two": 2, "after": "text"}


def edit(path, old, new):
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data := data.replace(old, new, 1))
    return data


def original(path):
    (found,) = path.parent.glob("store.json.original-*")
    return found.read_bytes()


def test_a_value_that_sed_changed(directory):
    """The next daemon has every key, the edited one with its new value; the log names it, and the original is kept."""
    daemon = Daemon(directory)
    with Opened(daemon.file) as store:
        fill(store)
    subprocess.run(["sed", "-i", 's/"debug":false/"debug":true/', daemon.file], check=True)
    edited = daemon.file.read_bytes()
    checked = daemon.check()
    daemon.start()
    try:
        with Client(daemon.endpoint) as client:
            assert {"debug": True, "name": "x"} == client.read("config")
            assert all(client.read(key) == THERE[key] for key in THERE if key != "config")
            assert 5 == client.status()["keys"]
    finally:
        daemon.stop()

    assert checked.returncode == 1
    assert "changed from outside" in checked.stdout.splitlines()[0]
    assert "Changed from outside: edited 'config'\n" in checked.stdout
    assert "the next start, or 'kvd repair', takes all of it over" in checked.stdout
    (line,) = [line for line in daemon.log.read_text().splitlines() if "changed from outside" in line]
    assert "edited 'config'." in line
    assert edited == original(daemon.file)
    assert_sound(daemon.file)


EDITS = {
    "a value over several lines": (
        b'{"debug":false,"name":"x"}',
        b'{\n    "debug": true,\n    "name": "y"\n  }',
        {"config": {"debug": True, "name": "y"}},
        "edited 'config'",
    ),
    "one of a batch": (b'"value":2}', b'"value": 22 }', {"two": 22}, "edited 'one', 'two'"),
    "a new line": (b',"two"', b',"new":{"value":[true]}\n,"two"', {"new": [True]}, "edited 'one', 'two'; added 'new'"),
    "a new first line": (b'\n,"":', b',"new":{"value":0}\n,"":', {"new": 0}, "added 'new'"),
    "a removal": (
        b',"":{"crc":"',
        b',"before":null,"":{"crc":"',
        {"before": [1, 2, 3]},  # what follows counts
        "no key",
    ),
    "null": (b'"after":{"revision":4,"value":"text"}', b'"after":null', {"after": None}, "removed 'after'"),
    "a line less": (b',"two":{"revision":3,"value":2}\n', b"", {"two": None}, "edited 'one'"),
    "a time that never comes": (b'"expires_at":', b'"expires_at":9', {}, "edited 'config'"),
    "the other name of a field": (b'"expires_at":', b'"expiry":', {}, "edited 'config'"),
    "a revision": (b'"revision":1,"value":[1', b'"revision":77,"value":[1', {}, "edited 'before'"),
    "the same name again": (
        b',"two"',
        b',"two":{"value":"first"}\n,"two":{"value":"second"}\n,"two"',
        {},
        "edited 'one', 'two'",  # its last occurrence is ours
    ),
    "the header": (b'"kvd":2', b'"kvd": 2', {}, "no key, but records of the file's own"),
    "line ends": (b"\n", b"\r\n", {}, "edited"),
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("how", ["start", "repair"])
def test_edits(closed, caplog, name, how):
    """Whatever it was, the file opens with what a JSON program reads in it, and says what was changed."""
    old, new, changes, told = EDITS[name]
    if name == "line ends":
        closed.write_bytes(data := closed.read_bytes().replace(old, new))
    else:
        data = edit(closed, old, new)
    expected = {key: value for key, value in (THERE | changes).items() if value is not None}
    read = as_others_read(closed)
    report = check(closed)

    assert read == expected
    assert (False, True) == (report.sound, report.edited)
    assert expected.keys() == report.keys.keys()
    assert told in str(report.changed()) or name == "a removal"
    if how == "repair":
        assert repair(closed).report.edited
        assert_sound(closed)
    assert expected == contents(closed)
    assert data == original(closed)
    assert_sound(closed)
    if how == "start":
        assert str(report.changed()) in caplog.text
    assert expected == as_others_read(closed)


def test_what_was_edited_has_a_new_revision(closed):
    """Who compares revisions sees the change; other keys keep theirs, and requests of other commits are remembered."""
    with Opened(closed) as store:
        before = {key: store.engine.find(key) for key in THERE}
    edit(closed, b'"debug":false', b'"debug":true')
    with Opened(closed) as store:
        assert store.engine.find("config").revision == store.engine.revision == 5
        assert store.engine.find("config").expires_at == before["config"].expires_at
        assert all(store.engine.find(key).revision == before[key].revision for key in THERE if key != "config")
        assert {"client": Outcome(3, 4)} == store.engine.outcomes


@pytest.mark.parametrize("command", ["check", "repair"])
def test_reports_for_programs(closed, command):
    """With --json the keys are told by kind of change."""
    edit(closed, b',"two"', b',"new":{"value":0}\n,"two"')
    run = subprocess.run([*KVD, command, "--json", closed], capture_output=True, text=True, check=False)
    report = json.loads(run.stdout)

    assert (1 if command == "check" else 0) == run.returncode
    assert {"edited": ["one", "two"], "added": ["new"], "removed": []} == report["changed_from_outside"]
    assert 6 == report["keys"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"debug":false', b'"debug":flase', "it is not valid JSON there"),
        (b'"debug":false', b'"debug":NaN', "it is not valid JSON there"),
        (b'"value":{"debug"', b'"comment":1,"value":{"debug"', "fields of unknown meaning: comment"),
        (b'"expires_at":', b'"expires_at":"soon","expiry":', "which is no time in Unix seconds"),
        (b'"config"', b'"con\\u0000fig"', "control character"),
    ],
)
def test_what_is_no_edit_is_refused_with_the_reason(closed, old, new, reason):
    """Nothing is changed then, and repair saves every commit but that one."""
    data = edit(closed, old, new)
    with pytest.raises(StoreCorruptError, match=r"kvd repair") as caught:
        contents(closed)

    assert reason in str(caught.value)
    assert data == closed.read_bytes()
    assert not repair(closed).report.edited
    assert {key: value for key, value in THERE.items() if key != "config"} == contents(closed)


def test_an_edit_beside_damage_is_refused(closed):
    """The file is no valid JSON: as it may be the disk that changed both, repair saves neither."""
    edit(closed, b'"debug":false', b'"debug":true')
    edit(closed, b'"one"', b"'one'")
    with pytest.raises(StoreCorruptError):
        contents(closed)
    assert not check(closed).edited
    repair(closed)

    assert {"before": [1, 2, 3], "after": "text"} == contents(closed)


def test_an_edited_file_that_would_pass_the_limit(closed):
    """It stays as it is, and the setting is named."""
    data = edit(closed, b'"text"', b'"' + b"x" * 5000 + b'"')
    with pytest.raises(StoreFullError, match="setting max_file_bytes"):
        Opened(closed, max_file_bytes=4096)

    assert data == closed.read_bytes()


class TestBehindACrash:
    """A file that a killed daemon left is edited like any other; what the crash itself left is no edit."""

    @pytest.fixture
    def killed(self, path):
        store = Opened(path)
        fill(store)
        store.crash()
        return path

    @pytest.mark.parametrize(
        ("old", "new", "changes"),
        [
            (b'"text"', b'"edited"', {"after": "edited"}),
            (b'"text"', b'"t"', {"after": "t"}),
            (b'"debug":false', b'"debug":true', {"config": {"debug": True, "name": "x"}}),
            (b'"text"}\n', b'"text"}\n,"new":{"value":1}\n', {"new": 1}),
        ],
    )
    def test_an_edit_of_the_last_commits(self, killed, old, new, changes):
        """Also where it is in the very last one, in which a crash could have left something."""
        edit(killed, old, new)

        assert THERE | changes == contents(killed)

    def test_no_tear_is_taken_for_an_edit(self, memory):
        """Whichever sectors of a batch a power cut has lost, spaces or zeros in their place: nothing of it is there,
        though what is left may be valid JSON.
        """
        path = memory / "store.json"
        store = Opened(path)
        store.create("first", 1)
        stop = store.engine._tail.end
        valid = tried = 0
        store.batch({f"key{number}": "x" * (number * 53 % 300) for number in range(14)})
        start, end = store.engine._tail.end - 1, store.engine._tail.end
        whole = path.read_bytes()
        store.crash()
        edges = [stop, *range((stop // 512 + 1) * 512, end, 512), end]
        sectors = list(itertools.pairwise(edges))
        assert 5 <= len(sectors) <= 10
        assert start < end
        for lost in itertools.product([False, True], repeat=len(sectors)):
            if not any(lost):
                continue
            for blank in (b" ", b"\0"):
                data = bytearray(whole)
                for (a, b), gone in zip(sectors, lost, strict=True):
                    if gone:
                        data[a:b] = blank * (b - a)
                path.write_bytes(data)
                tried += 1
                valid += blank == b" " and is_json(data)

                assert {"first": 1} == contents(path)
                assert ["store.json"] == [found.name for found in memory.iterdir()]
        assert tried > 60
        assert valid > 1  # all of it lost is one

    def test_an_edit_and_a_torn_tail(self, killed):
        """The edit is taken over, and what the crash left is cut as always."""
        edit(killed, b'"debug":false', b'"debug":true')
        data = killed.read_bytes().rstrip(b" }\n") + b'}\n,"":{"crc":"00000000","bytes":  200,"revision":9},"torn":'
        killed.write_bytes(data + b"   " + CLOSING)

        assert THERE | {"config": {"debug": True, "name": "x"}} == contents(killed)
        with Opened(killed) as store, pytest.raises(KeyNotFoundError):
            store.read("torn")


def is_json(data):
    try:
        return bool(json.loads(data))
    except ValueError:
        return False
