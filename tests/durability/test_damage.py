"""A small data file, cut at every byte and with every bit flipped: never a wrong value, whatever is damaged."""

import json
from collections import Counter

import pytest

from kvclient.contract.errors import StoreCorruptError
from kvd.backend.file.engine import tail
from kvd.backend.file.engine.format import CLOSING, HEADER, Found
from kvd.backend.file.engine.repair import repair
from kvd.backend.file.engine.scan import walk
from stores import Opened, as_others_read, assert_sound, contents, create, delete

pytestmark = pytest.mark.usefixtures("many_openings")


def grow(path, clock, *, trimmed, compacted):
    """Make a file in which every kind of thing occurs."""
    opened = Opened(path, clock)
    opened.create("plain", {"name": "value1"}, id="client:1")
    opened.create("ends", [1, '\n\\"', None], ttl=500)
    opened.batch({"b1": 1, "b2": '{"', "b3": {"": {"crc": "00000000", "bytes": 1}}}, id="client:2")
    if compacted:
        opened.compact()
    opened.do(delete("plain"), create("with", "another"), create("wíth", "ünicode 😀", id="other:1"))
    opened.create("plain", "again")
    opened.delete("b2", id="client:3")
    opened.create("brief", 1, ttl=400)
    clock.now += 400
    opened.sweep()
    clock.now -= 400  # so that whoever replays the commits need not know of expiry
    if trimmed:
        opened.close()
    else:
        opened.crash()


FORMS = {
    "closed": {"trimmed": True, "compacted": False},
    "killed": {"trimmed": False, "compacted": False},
    "compacted": {"trimmed": True, "compacted": True},
}


@pytest.fixture(params=FORMS)
def sample(request, memory, clock, monkeypatch):
    monkeypatch.setattr(tail, "_LEAST_EXTENT_BYTES", 65536)  # a megabyte is more to read and no more to damage
    path = memory / "sample.json"
    grow(path, clock, **FORMS[request.param])
    return path


def commits_of(path):
    with path.open("rb") as file:
        return [found for found in walk(file.fileno(), path.stat().st_size) if isinstance(found, Found)]


def replayed(commits):
    """Return what commits say, by any JSON parser."""
    state = {}
    for commit in commits:
        for name, entry in json.loads(b'{"":0' + commit.body + b"}").items():
            state.pop(name, None)
            if name and entry is not None:
                state[name] = entry["value"]
    return state


def state_of(data, clock):
    """Return what a JSON program finds in a file's bytes; None if they are no JSON, or not of entries only."""
    members = []

    def note(pairs):
        members[:] = pairs
        return dict(pairs)

    try:
        json.loads(data, object_pairs_hook=note)
    except ValueError:
        return None
    found = {}
    for key, entry in members:
        found.pop(key, None)
        if not key or entry is None:
            continue
        if not isinstance(entry, dict) or "value" not in entry or entry.keys() - {"value", "revision", "expires_at"}:
            return None
        if not key.isprintable():
            return None
        if entry.get("expires_at", clock() + 1) > clock():
            found[key] = entry["value"]
    return found


def opens_with(path, clock):
    """Return what a store opens the file with, None if it refuses to; what it leaves is sound, or untouched."""
    before = path.read_bytes()
    try:
        found = contents(path, clock)
    except StoreCorruptError:
        assert before == path.read_bytes()
        return None
    assert_sound(path)
    assert found == as_others_read(path, clock())
    return found


def test_file_cut_anywhere_opens_with_the_commits_before_the_cut(sample, clock):
    """A file that ends at any byte opens with exactly the commits that are whole in it, or has no whole header."""
    data = sample.read_bytes()
    whole = commits_of(sample)
    cut = sample.with_name("cut.json")
    for size in range(whole[-1].stop + 10, 0, -1):
        cut.write_bytes(data[:size])
        found = opens_with(cut, clock)
        if size < len(HEADER):
            assert found is None
        else:
            assert replayed(commit for commit in whole if commit.stop <= size) == found


def test_flipped_bits_never_give_a_wrong_value(sample, clock, caplog):
    """With any one bit flipped, the file opens with the commits before it or is refused; where every commit is still
    whole it opens with all of them. If what is left is valid JSON, nobody can tell it from an edit: it opens as a JSON
    program reads it, every key that differs is named, and the original is kept.
    """
    data = sample.read_bytes()
    whole = commits_of(sample)
    right = replayed(whole)
    flipped = sample.with_name("flipped.json")
    outcomes = Counter()
    for at in {*range(whole[-1].stop), *range(len(data) - 10, len(data))}:
        flipped.write_bytes(damaged := flip(data, at))
        caplog.clear()
        found = opens_with(flipped, clock)
        kept = list(sample.parent.glob("flipped.json.original-*"))
        if found is None:
            outcomes["refused"] += 1
            assert state_of(damaged, clock) is None, f"byte {at}"
        elif kept:
            outcomes["edit"] += 1
            assert state_of(damaged, clock) == found, f"byte {at}"
            assert damaged == kept[0].read_bytes()
            older = replayed(commit for commit in whole if commit.stop <= at)
            for key in found:
                # Where a name was changed, what the old name had before is back, as for any JSON program.
                assert found[key] in (right.get(key), older.get(key)) or repr(key) in caplog.text, f"byte {at}"
            assert "changed from outside" in caplog.text
            kept[0].unlink()
        else:
            outcomes["opened"] += 1
            hurt = [commit for commit in whole if commit.start <= at < commit.stop]
            assert replayed(commit for commit in whole if not hurt or commit.stop <= at) == found, f"byte {at}"
    assert outcomes["refused"] > 200
    assert outcomes["edit"] > 100
    assert outcomes["opened"] > (1 if was_closed(data) else 20)


def was_closed(data):
    """Tell whether a file ends as a clean close leaves it."""
    return data.endswith(b"\n" + CLOSING)


@pytest.mark.parametrize("sample", ["closed", "compacted"], indirect=True)
def test_a_closed_file_has_no_torn_tail(sample, clock):
    """All in a file that was closed had been durable: damage in its last commit is refused, and nothing is cut."""
    data = sample.read_bytes()
    last = commits_of(sample)[-1]
    for at in range(last.start, last.stop - 1):
        sample.write_bytes(damaged := flip(data, at))
        assert state_of(damaged, clock) == opens_with(sample, clock)


@pytest.mark.parametrize("sample", ["closed", "compacted"], indirect=True)
def test_lines_added_by_hand_are_not_cut(sample, clock):
    """What somebody adds to a file that was closed is not taken for what a crash left."""
    data = sample.read_bytes()
    there = replayed(commits_of(sample))
    sample.write_bytes(data.removesuffix(CLOSING) + b',"new":{"value":"precious"}\n' + CLOSING)

    assert there | {"new": "precious"} == opens_with(sample, clock)


def flip(data, at):
    """Return `data` with one bit of byte `at` flipped."""
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def test_repair_saves_every_commit_but_the_damaged_one(sample, clock, long):
    """After a flipped bit, repair saves what every other commit says, or of valid JSON all that it says, and keeps the
    original.
    """
    data = sample.read_bytes()
    whole = commits_of(sample)
    broken = sample.with_name("broken.json")
    repairs = 0
    for at in range(0, min(whole[-1].stop + 10, len(data)), 1 if long else 3):
        broken.write_bytes(damaged := flip(data, at))
        report, kept = repair(broken)

        assert_sound(broken)
        expected = replayed(commit for commit in whole if not commit.start <= at < commit.stop)
        if report.edited:
            expected = state_of(damaged, clock)
        assert expected == as_others_read(broken, clock()), f"byte {at}"
        if kept is not None:
            repairs += 1
            assert damaged == kept.read_bytes()
            kept.unlink()
    assert repairs > 100


def test_a_sound_file_is_not_repaired(sample):
    """Repair of a sound file changes no byte of it and leaves nothing beside it."""
    data = sample.read_bytes()

    assert repair(sample).kept is None
    assert data == sample.read_bytes()
    assert [sample] == [path for path in sample.parent.iterdir() if path.suffix != ".lock"]
