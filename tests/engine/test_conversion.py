"""Plain JSON files: taken over whole, or refused whole."""

import json

import pytest

from engines import OWNER, OpenedEngine, put
from kvclient.contract.errors import StoreCorruptError, StoreFullError
from kvd.backend.file.engine.check import check
from stores import Opened, assert_sound, contents


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.json"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        (" \n", {}),
        ("{}", {}),
        ('{"a": {"value": 1}}', {"a": 1}),
        ('{"a": {"value": null, "revision": 7}, "b": null, "": {"kvd": 1}}', {"a": None}),
        ('{"a": {"value": 1, "expiry": 5}, "b": {"value": 2, "expires_at": null}}', {"b": 2}),
        (
            '{"a": {"value": 1, "revision": true}, "b": {"value": 2, "revision": 99999999999999999999}}',
            {"a": 1, "b": 2},
        ),
        ('{"a": {"value": 1}, "a": {"value": 2}}', {"a": 2}),
        ('{"a": {"value": 1, "expires_at": 0}, "b": {"value": 2, "expires_at": -5.5}, "c": {"value": 3}}', {"c": 3}),
    ],
)
def test_a_plain_file_is_converted_and_kept(path, text, found):
    """Every key with a value is there; the original lies beside it, byte by byte, and is mentioned by kvd check."""
    path.write_text(text)
    assert check(path).plain_keys is not None

    assert found == contents(path)
    assert_sound(path)
    (original,) = path.parent.glob("store.json.original-*")
    assert text == original.read_text()
    assert found == contents(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "array"),
        ('{"a": {"value": 1, "owner": 7}}', "owner"),
        ('{"a": {"value": 1, "owner": {"pid": true, "started": 1, "boot": "b", "uid": 0}}}', "owner"),
        ('{"a": {"value": 1, "owner": {"pid": 1, "started": 1, "boot": "b", "uid": 0, "gid": 0}}}', "owner"),
        ('{"a": 1}', "'a'"),
        ('{"a": {"value": 1, "comment": "mine"}}', "comment"),
        ('{"a": {"value": 1, "expires_at": "soon"}}', "soon"),
        ('{"a": {"value": 1, "expires_at": 1' + "0" * 400 + "}}", "'a'"),
        ('{"a": {"value": NaN}}', "NaN"),
        ('{"a\\n": {"value": 1}}', "control"),
        ('{"a": {"value": 1}', "not a data file"),
        ("\xff\xfe", "not a data file"),
        ("[" * 100_000, "nested"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_whole(path, text, said):
    """The message says which key and why; nothing is changed, and nothing is created beside it."""
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreCorruptError, match=r"store\.json") as caught:
        contents(path)

    assert said in str(caught.value)
    assert text == path.read_bytes().decode("latin-1")
    assert [path] == list(path.parent.iterdir())


@pytest.mark.parametrize("rewrite", [json.dumps, lambda d: json.dumps(d, indent=4)])
def test_a_data_file_that_went_through_another_program(path, rewrite):
    """A data file that jq or a script has read and written again is converted, with what was live."""
    with Opened(path) as store:
        store.batch({"a": 1, "b": {"c": [2]}, "gone": 3})
        store.delete("gone")
        store.create("later", 4, ttl=1000)
    path.write_text(rewrite(json.loads(path.read_bytes())))

    assert {"a": 1, "b": {"c": [2]}, "later": 4} == contents(path)
    assert_sound(path)


def test_owners_are_taken_over(path):
    """An ephemeral key is one still after its file went through another program."""
    with OpenedEngine(path) as opened:
        opened.commit(put("lock", b"1", 1, owner=OWNER), put("a", b"2", 2))
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=4))
    with OpenedEngine(path) as opened:
        assert {"lock": OWNER} == dict(opened.engine.owners())
        assert 2 == opened.engine.history_from


def test_without_second_names_the_original_is_copied(path, monkeypatch):
    """On a file system that knows no hard links a copy is kept."""
    path.write_text('{"a": {"value": 1}}')

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    assert {"a": 1} == contents(path)
    (original,) = path.parent.glob("store.json.original-*")
    assert '{"a": {"value": 1}}' == original.read_text()


def test_a_file_that_would_pass_the_limit(path):
    """A plain file that would be too large as a data file stays as it is, and the limit is named."""
    text = json.dumps({f"key{number}": {"value": "x" * 100} for number in range(100)})
    path.write_text(text)
    with pytest.raises(StoreFullError, match=r"its limit of 4096 \(setting max_file_bytes\)"):
        Opened(path, max_file_bytes=4096)

    assert text == path.read_text()
    assert [path] == list(path.parent.iterdir())


def test_a_link_is_no_kept_original(path):
    """A symbolic link beside the file does not pass for the copy that is kept."""
    path.write_text('{"a": {"value": 1}}')
    link = path.with_name("store.json.original-latest")
    link.symlink_to(path)
    path.with_name("store.json.original-gone").symlink_to("nowhere")

    assert {"a": 1} == contents(path)
    (original,) = [found for found in path.parent.glob("store.json.original-*") if not found.is_symlink()]
    assert '{"a": {"value": 1}}' == original.read_text()


def test_the_latest_expiry_that_the_store_takes(path):
    """What expires at the end of all numbers can be taken over like anything else."""
    with Opened(path) as store:
        store.create("late", 1, ttl=1e308)
    path.write_text(json.dumps(json.loads(path.read_bytes())))

    assert {"late": 1} == contents(path)
