"""docs/data-file.md: its sample is a file, and its readers read what kvd writes."""

import re
from pathlib import Path

from kvd.backend.file.engine.interface import Outcome
from stores import Opened, assert_sound

PAGE = (Path(__file__).parents[2] / "docs" / "data-file.md").read_text()


def block(language, containing):
    """Return the block of the page that is in a language and contains a text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if containing in block]
    return found


def test_the_sample_is_a_data_file(tmp_path, clock):
    """Every checksum in it is right, and it holds what it seems to."""
    path = tmp_path / "sample.json"
    path.write_text(block("json", "key1"))

    assert_sound(path)
    with Opened(path, clock) as store:
        assert {"key3": [1]} == store.contents()
        assert {"worker-7f3a": Outcome(43, 4, b'"value":7')} == store.engine.outcomes
        told = [(event.kind, event.key) for event in store.engine.history(0) if event]
    created, gone = ["key1", "key2", "key3", "lock"], [("deleted", "key2"), ("expired", "key1"), ("released", "lock")]
    assert [("created", key) for key in created] + gone == told


def test_the_simple_reader_sees_what_is_live(tmp_path, monkeypatch):
    """It leaves out what is deleted and expired, while the file is open."""
    monkeypatch.chdir(tmp_path)
    with Opened(tmp_path / "data_store.json") as store:
        store.batch({"a": 1, "b": 2, "c": 3})
        store.delete("b")
        store.create("b", [4])
        store.delete("c")
        store.create("long", 5, ttl=1000)
        names = {}
        exec(block("python", "live = "), names)

        assert {"a": 1, "b": [4], "long": 5} == names["live"]


def test_the_exact_reader_stops_at_what_is_not_whole(tmp_path):
    """It yields every commit with its revision, of a file with all kinds of padding, and none that is torn."""
    names = {}
    exec(block("python", "def commits"), names)
    path = tmp_path / "store.json"
    store = Opened(path)
    for number in range(300):
        store.batch({f"key{number}": "x" * number, f"{number}": {"": {"crc": number}}}, id=f"c {{}}:{number}")
    store.compact()
    store.delete("key7", id='quo"te}, :1')
    store.create("key7", "again")
    expected = store.contents()
    store.crash()
    data = path.read_bytes()
    torn = data.rstrip(b" }\n") + b'}\n,"":{"crc":"00000000","bytes":        5,"revision":999},"torn":1\n}'
    for given in (data, torn):
        state = {}
        for _, changes in names["commits"](given):
            state |= changes

        assert expected == {key: entry["value"] for key, entry in state.items() if key and entry is not None}
