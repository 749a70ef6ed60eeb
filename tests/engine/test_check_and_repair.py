"""`kvd check` and `kvd repair`, as people and scripts run them."""

import json
import os
import subprocess

import pytest

from kvclient import Client
from kvclient.contract.operations import replies, requests
from kvd.backend.file.engine.interface import Outcome
from processes import KVD, Daemon, environment
from stores import Opened, as_others_read, assert_sound, contents


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.json"


def kvd(*arguments, directory):
    return subprocess.run(
        [*KVD, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(directory),
    )


@pytest.fixture
def damaged(path):
    """A file in which the commit that changed `b` and deleted `c` is damaged, and one to `late` follows."""
    with Opened(path) as store:
        store.batch({"a": 1, "b": 2, "c": 3})
        store.delete("b")
        store.create("b", "newer")
        store.delete("c")
        store.create("late", 4)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"newer"', b'"nEwer"').replace(b'"c":null', b'"c":nuLl'))
    return path


def test_a_sound_file(path):
    """Exit code 0, and what is in it."""
    with Opened(path) as store:
        store.batch({"a": 1, "b": 2})
        store.delete("a")
    result = kvd("check", path, directory=path.parent)

    assert (0, "") == (result.returncode, result.stderr)
    assert result.stdout.startswith(f"{path}: sound; ")
    assert "1 key, revision 2" in result.stdout


def test_damage_is_named_with_its_place(damaged):
    """Exit code 1; each damaged place with byte, line, keys and the revisions around it; nothing is changed."""
    before = damaged.read_bytes()
    result = kvd("check", damaged, directory=damaged.parent)

    assert result.returncode == 1
    place = before.index(b',"":', before.index(b'"b":null'))
    assert f"damage at byte {place} (line {before[:place].count(10) + 1})" in result.stdout
    assert "'b'" in result.stdout
    assert "between revision 2 and revision 5" in result.stdout
    assert f"'kvd repair {damaged}'" in result.stdout
    assert before == damaged.read_bytes()


def test_a_report_for_programs(damaged):
    """With --json the same, as one object."""
    result = kvd("check", "--json", damaged, directory=damaged.parent)
    report = json.loads(result.stdout)

    assert result.returncode == 1
    assert (False, "data file", 5) == (report["sound"], report["kind"], report["revision"])
    (damage,) = report["damage"]
    assert (2, 5, False, ["b"]) == (
        damage["after_revision"],
        damage["before_revision"],
        damage["torn"],
        damage["keys"],
    )


def test_repair_tells_what_is_lost_and_what_may_be_back(damaged):
    """All sound commits are saved and the original is kept; lost keys are named, and those whose older value is back
    because the commit that deleted them is lost.
    """
    before = damaged.read_bytes()
    result = kvd("repair", damaged, directory=damaged.parent)

    assert result.returncode == 0, result.stderr
    assert "not saved: 'b'" in result.stdout
    assert "may have changed or deleted them (2 keys): 'a', 'c'" in result.stdout
    (original,) = damaged.parent.glob("store.json.damaged-*")
    assert str(original) in result.stdout
    assert before == original.read_bytes()
    assert {"a": 1, "c": 3, "late": 4} == as_others_read(damaged) == contents(damaged)
    assert_sound(damaged)
    assert "Nothing to repair" in kvd("repair", damaged, directory=damaged.parent).stdout


def test_a_repaired_store_goes_on_counting(damaged):
    """Revisions go on from the highest that was found, and requests that were carried out are remembered."""
    with Opened(damaged.with_name("other.json")) as store:
        store.create("x", 1, id="client:4")
        store.create("y", 1)
        store.create("z", 1)
    other = damaged.with_name("other.json")
    other.write_bytes(other.read_bytes().replace(b'"y"', b"'y'"))
    kvd("repair", other, directory=damaged.parent)

    with Opened(other) as store:
        assert (3, {"client": Outcome(4, 1)}) == (store.engine.revision, store.engine.outcomes)
        assert store.create("next", 1) == 4


def test_a_torn_tail_is_mended_and_no_key_is_doubtful(path):
    """What a crash left of a commit is exit code 1 too; nothing that was acknowledged is lost with it."""
    store = Opened(path)
    store.create("a", 1)
    store.crash()
    path.write_bytes(path.read_bytes().rstrip(b"} \n") + b'}\n,"":{"crc":"01234567","by')

    checked = kvd("check", path, directory=path.parent)
    assert checked.returncode == 1
    assert "never acknowledged" in checked.stdout
    report = json.loads(kvd("repair", "--json", path, directory=path.parent).stdout)
    assert (True, []) == (report["repaired"], report["doubtful_keys"])
    assert {"a": 1} == contents(path)


def test_a_plain_file_is_no_damage(path):
    """A plain JSON file is reported as such, and left alone by both commands."""
    path.write_text('{"a": {"value": 1}}')
    for command in ("check", "repair"):
        result = kvd(command, path, directory=path.parent)

        assert result.returncode == 0
        assert "a plain JSON file of 1 key." in result.stdout
    assert '{"a": {"value": 1}}' == path.read_text()


@pytest.mark.parametrize("command", ["check", "repair"])
@pytest.mark.parametrize("text", ["[1]", "no JSON", None, os.mkfifo])
def test_what_is_no_data_file(path, command, text):
    """Exit code 2 and one line on standard error, with --json too an object."""
    if text is os.mkfifo:
        os.mkfifo(path)
    elif text is not None:
        path.write_text(text)
    result = kvd(command, path, directory=path.parent)

    assert (2, "") == (result.returncode, result.stdout)
    assert 1 == len(result.stderr.splitlines())
    assert json.loads(kvd(command, "--json", path, directory=path.parent).stdout)["sound"] is False


def test_a_running_daemon(directory):
    """While a daemon has the file open, check examines it and says so, and repair is refused."""
    daemon = Daemon(directory).start()
    try:
        with Client(daemon.endpoint) as client:
            client.create("key1", 1)
        checked = daemon.check()
        repaired = kvd("repair", daemon.file, directory=directory)
    finally:
        daemon.kill()

    assert checked.returncode == 0
    assert f"Process {daemon.process.pid} has it open" in checked.stdout
    assert repaired.returncode == 1
    assert f"in use by process {daemon.process.pid}" in repaired.stderr


def test_the_default_is_the_file_that_kvd_would_open(tmp_path):
    """Without FILE it is the store's, and the options before the command count."""
    with Opened(tmp_path / "mine.json"):
        pass

    assert kvd("--file", tmp_path / "mine.json", "check", directory=tmp_path).returncode == 0
    assert "work.json" in kvd("--store", "work", "check", directory=tmp_path).stderr


def test_schema_describes_requests_and_replies():
    """`kvd schema` is one JSON Schema document with the models of both, every reference in it resolved."""
    document = json.loads(subprocess.run([*KVD, "schema"], capture_output=True, check=True).stdout)

    definitions = document["$defs"]
    assert len(requests.json_schema()["oneOf"]) == len(definitions["Request"]["oneOf"])
    assert len(replies.json_schema()["anyOf"]) == len(definitions["Reply"]["anyOf"])
    for reference in find_references(document):
        assert reference.removeprefix("#/$defs/") in definitions


def find_references(schema):
    if isinstance(schema, dict):
        for name, content in schema.items():
            if name == "$ref":
                yield content
            else:
                yield from find_references(content)
    elif isinstance(schema, list):
        for content in schema:
            yield from find_references(content)
