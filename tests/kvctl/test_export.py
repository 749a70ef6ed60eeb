"""kvctl export, and that kvctl import takes what it writes."""

import json
import os
import stat
import subprocess
import sys
import time

import pytest

from kvclient import Client
from processes import environment, kvctl

VALUES = {"a": {"name": "ü😀", "list": [1, 2.5, None]}, "b:\\ \"'": "text", "b:2": False, "\U0010ffff": 10**30}


@pytest.fixture
def store(daemon):
    with Client(daemon.endpoint) as store:
        yield store


@pytest.fixture
def other(start_daemon, directory):
    """A second store."""
    at = directory / "other"
    at.mkdir()
    with Client(start_daemon(at=at).endpoint) as store:
        yield store


@pytest.fixture
def run(directory):
    """Run kvctl on a store."""

    def run(store, *arguments, stdin=None, **variables):
        done = kvctl(*arguments, "--endpoint", store.endpoint, directory=directory, stdin=stdin, **variables)
        assert "Traceback" not in done.stderr
        return done

    return run


def content(store):
    return {entry.key: (entry.value, entry.expires_at) for entry in store.entries()}


@pytest.mark.parametrize(
    ("options", "name"),
    [((), "keys.jsonl"), ((), "keys.json"), (("--format", "object"), "keys"), (("--format", "lines"), "keys.json")],
    ids=["lines", "object", "--format object", "--format lines"],
)
def test_what_export_writes_import_takes(run, store, other, directory, options, name):
    """Keys, values, and the instants at which they expire, to within the second that it takes."""
    store.batch_create(VALUES)
    store.create("expiring", 1, ttl=500)
    file = directory / name

    exported = run(store, "export", str(file), *options)
    imported = run(other, "import", str(file))

    assert (0, "", f"exported 5 keys to {file}\n") == (exported.returncode, exported.stdout, exported.stderr)
    assert (0, "", f"imported 5 keys from {file}\n") == (imported.returncode, imported.stdout, imported.stderr)
    assert VALUES == {key: value for key, (value, expires_at) in content(other).items() if expires_at is None}
    assert store.entry("expiring").expires_at == pytest.approx(other.entry("expiring").expires_at, abs=1)


def test_lines_are_records(run, store):
    """Key, value, expiry and revision, one object a line, in the order of the keys, on standard output."""
    store.create("b", 1)
    store.create("a", [True], ttl=500)

    done = run(store, "export")

    assert [
        {"key": "a", "value": [True], "expires_at": store.entry("a").expires_at, "revision": 2},
        {"key": "b", "value": 1, "revision": 1},
    ] == list(map(json.loads, done.stdout.splitlines()))
    assert (0, "") == (done.returncode, done.stderr)


def test_an_object_of_entries_is_a_file_that_kvd_opens(run, store, directory):
    """It has the shape of the data file."""
    store.create("a", [True], ttl=500)
    entry = store.entry("a")

    done = run(store, "export", "--format", "object")

    assert {"a": {"value": [True], "expires_at": entry.expires_at, "revision": 1}} == json.loads(done.stdout)
    (directory / "opened.json").write_text(done.stdout)
    assert [True] == json.loads(
        kvctl("read", "a", directory=directory, KVD_STORE="opened", XDG_DOCUMENTS_DIR=str(directory)).stdout
    )
    kvctl("stop", "--store", "opened", directory=directory)


def test_plain_values(run, store, other):
    """With --values an object of keys and values, which import --values and batch-create take."""
    store.batch_create(VALUES)

    exported = run(store, "export", "--values").stdout

    assert VALUES == json.loads(exported)
    assert 0 == run(other, "import", "-", "--values", stdin=exported).returncode
    assert VALUES == {key: value for key, (value, _) in content(other).items()}
    assert 2 == run(store, "export", "--values", "--format", "lines").returncode


def test_an_empty_store(run, store, other):
    """Is an empty file, or an empty object; both can be imported."""
    assert ("", "{\n}\n") == (run(store, "export").stdout, run(store, "export", "--format", "object").stdout)
    for text in ("", "\n", "{}", "{\n}\n"):
        assert (0, "imported 0 keys from standard input\n") == (
            (done := run(other, "import", "-", stdin=text)).returncode,
            done.stderr,
        )


def test_a_prefix(run, store):
    """Only keys that begin with it."""
    store.batch_create(VALUES)

    assert ["b:2", "b:\\ \"'"] == list(json.loads(run(store, "export", "--prefix", "b:", "--values").stdout))


def test_ephemeral_keys_are_left_out_and_counted(run, store):
    """They are bound to a process, which a file cannot be."""
    store.create("held", 1, ephemeral=True)
    store.create("kept", 2)

    done = run(store, "export", "--values")

    assert {"kept": 2} == json.loads(done.stdout)
    assert "kvctl: 1 ephemeral key left out: bound to the life of a process.\n" == done.stderr


def test_the_file_is_for_its_owner_and_there_whole_or_not_at_all(run, store, directory):
    """Mode 0600 whatever was there before; where the export fails, what was there stays, and nothing else."""
    store.create("a", 1)
    file = directory / "export" / "keys.jsonl"
    file.parent.mkdir()
    file.write_text("before")
    file.chmod(0o644)

    failed = run(store, "export", str(file), "--timeout", "0.2", KVD_ENDPOINT="ipc:///none")
    assert 0 == failed.returncode  # the option counts, not the variable
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert [file.name] == os.listdir(file.parent)

    file.write_text("before")
    store.stop()
    done = run(store, "export", str(file), "--timeout", "0.1")
    assert (6, "before", [file.name]) == (done.returncode, file.read_text(), os.listdir(file.parent))

    missing = run(store, "export", str(directory / "no" / "keys.jsonl"), "--timeout", "0.1")
    assert 0 != missing.returncode


def test_where_it_cannot_be_written_it_says_so(run, store, directory):
    """With the path and the reason."""
    done = run(store, "export", str(directory / "no" / "keys.jsonl"))

    assert (1, f"kvctl: {directory}/no/keys.jsonl cannot be written: No such file or directory.\n") == (
        done.returncode,
        done.stderr,
    )


def test_no_store_is_made_to_be_exported(directory):
    """A mistyped name ends in exit code 6."""
    done = kvctl("export", "--store", "mistyped", directory=directory)

    assert (6, "") == (done.returncode, done.stdout)
    assert "There is no store 'mistyped'" in done.stderr


def test_the_progress_is_shown_on_a_terminal_only(store, directory):
    """And rich is not imported without one."""
    store.batch_create({f"key{number:04d}": number for number in range(2000)})
    program = "import sys; from kvclient.cli import main\ntry: main()\nfinally: print('rich' in sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", program, "export", "/dev/null", "--endpoint", store.endpoint],
        capture_output=True,
        text=True,
        check=False,
        env=environment(directory),
    )

    assert ("False\n", "exported 2,000 keys to /dev/null\n") == (done.stdout, done.stderr)


def test_a_key_that_has_expired_meanwhile_is_not_imported(run, other):
    """It would have been gone."""
    gone = json.dumps({"key": "gone", "value": 1, "expires_at": time.time() - 1})

    done = run(other, "import", "-", "--json", stdin=gone)

    assert {"written": 0, "skipped": 0, "expired": 1, "ephemeral": 0, "dry_run": False} == json.loads(done.stdout)
    assert 0 == other.count()
