"""kvctl import: what it takes, what it refuses, and what it leaves behind then."""

import json
import re

import pytest

from kvclient import Client
from kvclient.cli.moving.text import Text
from processes import kvctl


@pytest.fixture
def store(start_daemon):
    with Client(start_daemon(max_batch="10", max_key_length="20", max_value_bytes="1000").endpoint) as store:
        yield store


@pytest.fixture
def run(store, directory):
    """Run kvctl import with text for standard input."""

    def run(text, *options):
        done = kvctl("import", "-", *options, "--endpoint", store.endpoint, directory=directory, stdin=text)
        assert "Traceback" not in done.stderr
        return done

    return run


def lines(*records):
    return "".join(f"{json.dumps(record)}\n" for record in records)


def numbered(count, **more):
    return [{"key": f"key{number:03d}", "value": number, **more} for number in range(count)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("oops", "Line 3 of standard input is not JSON: Expecting value: line 1 column 1 (char 0)."),
        ('{"key": "a", "value": NaN}', "Line 3 of standard input is not JSON: NaN is not a JSON number."),
        ('{"value": 1}', 'Line 3 of standard input is not an object with a "key" and a "value".'),
        ('{"key": "a"}', 'Line 3 of standard input is not an object with a "value".'),
        ('{"key": "", "value": 1}', "Line 3 of standard input: A key cannot be empty."),
        ('{"key": 1, "value": 1}', "Line 3 of standard input: A key is a string, not int: 1"),
        ('{"key": "a", "value": 1, "tll": 5}', "Line 3 of standard input has fields of unknown meaning: tll."),
        (
            '{"key": "a", "value": 1, "expires_at": "soon"}',
            "Line 3 of standard input has an expires_at that is no time in Unix seconds: 'soon'.",
        ),
        ("[" * 100_000, "Line 3 of standard input is not JSON that can be stored: it is nested too deeply."),
    ],
)
def test_a_bad_line_is_named_and_nothing_written(run, store, bad, reason):
    """Exit code 2, where the file fits into one batch."""
    text = lines({"key": "first", "value": 1}) + "\n" + bad + "\n" + lines({"key": "last", "value": 1})

    done = run(text)

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"kvctl: {reason}")
    assert 1 == done.stderr.count("\n")
    assert 0 == store.count()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": {"value": 1},\n "b": {"value": }}', "the value of 'b' is not JSON: Expecting value."),
        ('{"a": {"value": 1},\n "b" {"value": 1}}', "':' is expected, not '{'."),
        ('{"a": {"value": 1}\n', "',' or '}' is expected, not 'the end'."),
        ('{"a": {"value": 1}} {', "the object ends, and '{' follows."),
        ('{"a": {"value": 1}, b: 2}', "a name in double quotes is expected, not 'b'."),
    ],
)
def test_a_bad_object_is_named_by_its_place(run, store, text, reason):
    """Exit code 2, and nothing written."""
    done = run(text)

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("kvctl: Standard input is not a JSON object: at character ")
    assert done.stderr.endswith(f"{reason}\n")
    assert 0 == store.count()


@pytest.mark.parametrize("text", ["[1, 2]", '"text"', "key1 = 1"])
def test_what_is_neither_lines_nor_an_object(run, text):
    """The message shows both."""
    done = run(text)

    assert 2 == done.returncode
    assert "has neither JSON Lines" in done.stderr


def test_a_plain_value_in_an_object_is_not_taken_for_an_entry(run, store):
    """It says which option is meant."""
    done = run('{"a": 1}')

    assert 2 == done.returncode
    assert (
        "kvctl: Key 'a' in standard input is not an object with a \"value\". "
        "For an object of plain values, use --values.\n" == done.stderr
    )
    assert 0 == run('{"a": 1}', "--values").returncode
    assert 1 == store.read("a")


class TestOnConflict:
    def test_fail_is_the_default(self, run, store):
        """Exit code 4, the line named, nothing written."""
        store.create("key003", "mine")

        done = run(lines(*numbered(5)))

        assert (4, "kvctl: Line 4 of standard input: Key 'key003' exists.\n") == (done.returncode, done.stderr)
        assert ["key003"] == list(store.list())

    def test_skip_leaves_what_is_there(self, run, store):
        """Also where all are, and where a key is in the file twice."""
        store.create("key003", "mine")
        text = lines(*numbered(5), {"key": "key000", "value": "again"})

        done = run(text, "--on-conflict", "skip")
        again = run(text, "--on-conflict", "skip")

        assert "imported 4 keys from standard input; left out: 2 there already\n" == done.stderr
        assert "imported 0 keys from standard input; left out: 6 there already\n" == again.stderr
        assert (0, "mine", 4) == (store.read("key000"), store.read("key003"), store.read("key004"))

    def test_replace_takes_the_file(self, run, store):
        """With its TTLs, and of a key that is in it twice the last."""
        store.create("key003", "mine", ttl=500)
        text = lines(*numbered(5), {"key": "key000", "value": "again"})

        done = run(text, "--on-conflict", "replace")

        assert "imported 6 keys from standard input\n" == done.stderr
        assert ("again", 3, None) == (store.read("key000"), store.read("key003"), store.entry("key003").expires_at)

    def test_skip_finds_keys_among_many_others(self, run, store):
        """Whatever lies between them, and in whatever order they come."""
        for number in range(200):
            store.create(f"m{number:03d}", 0)
        store.create("z", "mine")
        text = lines(*({"key": key, "value": 1} for key in ("z", "m150", "a", "m0001", "zz")))

        done = run(text, "--on-conflict", "skip")

        assert "imported 3 keys from standard input; left out: 2 there already\n" == done.stderr
        assert ("mine", 0, 1) == (store.read("z"), store.read("m150"), store.read("a"))


class TestMoreThanABatch:
    def test_is_written(self, run, store):
        """In several."""
        done = run(lines(*numbered(1001)))

        assert (0, "imported 1,001 keys from standard input\n") == (done.returncode, done.stderr)
        assert 1001 == store.count()

    def test_says_how_many_were_written_before_a_bad_line(self, run, store):
        """Exit code 2; the number is true."""
        done = run(lines(*numbered(600)) + "oops\n")

        assert 2 == done.returncode
        assert done.stderr.startswith("kvctl: Line 601 of standard input is not JSON: ")
        assert done.stderr.endswith(f" {store.count()} keys were written before.\n")
        assert 0 < store.count() <= 600

    def test_says_how_many_were_written_before_a_conflict(self, run, store):
        """And --on-conflict skip goes on from there."""
        store.create("key555", "mine")
        done = run(lines(*numbered(600)))

        assert 4 == done.returncode
        assert "Line 556 of standard input: Key 'key555' exists." in done.stderr
        assert done.stderr.endswith(f" {store.count() - 1} keys were written before.\n")
        assert 0 == run(lines(*numbered(600)), "--on-conflict", "skip").returncode
        assert (600, "mine") == (store.count(), store.read("key555"))


@pytest.mark.parametrize("count", [9, 600])
def test_dry_run_writes_nothing_and_says_the_same(run, store, count):
    """What would be written, and what would be refused."""
    store.create("key007", "mine")

    fail = run(lines(*numbered(count)), "--dry-run")
    skip = run(lines(*numbered(count)), "--dry-run", "--on-conflict", "skip", "--json")
    replace = run(lines(*numbered(count)), "--dry-run", "--on-conflict", "replace")

    assert 4 == fail.returncode
    assert fail.stderr.startswith("kvctl: Line 8 of standard input: Key 'key007' exists.")
    assert {"written": count - 1, "skipped": 1, "expired": 0, "ephemeral": 0, "dry_run": True} == json.loads(
        skip.stdout
    )
    assert f"would import {count:,} keys from standard input\n" == replace.stderr
    assert [("key007", "mine")] == [(entry.key, entry.value) for entry in store.entries()]


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
@pytest.mark.parametrize("record", [{"key": "x" * 21, "value": 1}, {"key": "large", "value": "x" * 1000}], ids=str)
def test_limits_are_the_daemons(run, store, record, options):
    """Exit code 5, the line named, nothing written."""
    done = run(lines({"key": "first", "value": 1}, record), *options)

    assert 5 == done.returncode
    assert done.stderr.startswith("kvctl: Line 2 of standard input: ")
    assert "the limit is" in done.stderr
    assert 0 == store.count()


def test_keys_of_processes_are_left_out(run, store):
    """As `kvctl list --json --values` tells of them: with an owner."""
    done = run(lines({"key": "lock", "value": 1, "revision": 3, "owner": {"pid": 1, "uid": 0}}, *numbered(1)))

    assert "imported 1 key from standard input; left out: 1 bound to a process\n" == done.stderr
    assert ["key000"] == list(store.list())


def test_the_first_import_starts_a_daemon(directory):
    """As every change does."""
    done = kvctl("import", "-", "--timeout", "60", directory=directory, stdin=lines(*numbered(3)))

    assert (0, "imported 3 keys from standard input\n") == (done.returncode, done.stderr)
    assert "2\n" == kvctl("read", "key002", directory=directory).stdout
    assert 0 == kvctl("stop", directory=directory).returncode


def test_a_file_that_is_not_there(directory):
    """Is an error of its own, before a daemon is asked."""
    done = kvctl("import", str(directory / "none.jsonl"), directory=directory)

    assert (1, f"kvctl: {directory}/none.jsonl cannot be read: No such file or directory.\n") == (
        done.returncode,
        done.stderr,
    )


class Trickle:
    """A file that gives a few bytes at a time."""

    def __init__(self, data, size):
        self._data, self._size, self._at = data, size, 0

    def read(self, _):
        self._at += self._size
        return self._data[self._at - self._size : self._at]

    def readline(self, _):
        return self.read(0)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_an_object_can_be_cut_anywhere(size):
    """Numbers, names, escapes and characters of several bytes included."""
    document = {"ü😀\n": {"value": 12345.5}, "b": {"value": [{}, '\\"}{', -1e30], "expires_at": 2e9}, "c": {"value": 1}}
    text = json.dumps(document, ensure_ascii=False, indent=1).replace("\\n", "").encode()

    records = list(Text(Trickle(text, size), "it", values=False).records())

    assert [("ü😀", 12345.5, None), ("b", [{}, '\\"}{', -1e30], 2e9), ("c", 1, None)] == [
        (record.key, record.value, record.expires_at) for record in records
    ]


def test_ctrl_c_says_what_was_written(open_terminal, shared_store, key, directory):
    """Of a large import, which is not one step; and how the rest gets in."""
    path = directory / "keys.jsonl"
    path.write_text("".join(f'{{"key": "{key}:{number}", "value": {number}}}\n' for number in range(300_000)))
    terminal = open_terminal("import", str(path), stdin=True, columns=200)
    terminal.wait_for("keys, ")
    terminal.interrupt()
    printed = terminal.end(130)

    (said,) = re.findall(r"Interrupted: ([\d,]+) keys written so far\. With --on-conflict skip", printed)
    assert 0 < int(said.replace(",", "")) <= shared_store.count(f"{key}:") < 300_000
    shared_store.clear(f"{key}:")
