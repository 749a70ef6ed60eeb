"""What the commands beyond create, read and delete do, print and exit with."""

import json
import os
import pty
import subprocess

import pytest
import typer

from kvclient import Client
from kvclient.cli.app import app
from processes import KVCTL, environment


@pytest.fixture
def store(shared_daemon):
    with Client(shared_daemon.endpoint) as store:
        yield store


def said(done):
    """What a person or a script sees."""
    return done.returncode, done.stdout, done.stderr


class TestPutAndUpdate:
    def test_put_creates_and_replaces(self, run, store, key):
        """Silence is success; with --json the revision is told."""
        assert (0, "", "") == said(run("put", key, "[1]", "--ttl", "500"))
        done = run("put", key, "-2.5", "--keep-ttl", "--json")

        entry = store.entry(key)
        assert {"revision": entry.revision} == json.loads(done.stdout)
        assert -2.5 == entry.value
        assert entry.expires_at is not None

    def test_update_needs_the_key(self, run, store, key):
        """Exit code 3."""
        assert 3 == run("update", key, "1").returncode
        store.create(key, 1)
        assert (0, "", "") == said(run("update", key, "-", stdin="[2]"))
        assert [2] == store.read(key)

    @pytest.mark.parametrize("verb", ["put", "update"])
    def test_another_revision_is_exit_code_4(self, run, store, key, verb):
        """And the value stays."""
        revision = store.create(key, 1)

        assert 0 == run(verb, key, "2", "--if-revision", str(revision)).returncode
        done = run(verb, key, "3", "--if-revision", str(revision))
        assert (4, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
        assert 2 == store.read(key)

    @pytest.mark.parametrize("verb", ["create", "put"])
    def test_text_needs_no_json(self, run, store, key, verb):
        """--string stores it as it is."""
        assert (0, "", "") == said(run(verb, key, "--string", 'say "hi"'))
        assert 'say "hi"' == store.read(key)

    @pytest.mark.parametrize("verb", ["create", "put"])
    def test_a_key_can_be_bound_to_a_process(self, run, store, key, verb):
        """By its pid."""
        assert (0, "", "") == said(run(verb, key, "1", "--ephemeral-for", str(os.getpid())))
        assert os.getpid() == store.entry(key).owner.pid


class TestRead:
    def test_several_keys_are_a_line_each(self, run, store, key):
        """Missing ones are told, and the others printed all the same."""
        store.batch_create({f"{key}a": 1, f"{key}b": "two"})

        done = run("read", f"{key}a", f"{key}x", f"{key}b")

        assert (3, '1\n"two"\n') == (done.returncode, done.stdout)
        assert f"kvctl: Key '{key}x' does not exist, or has expired.\n" == done.stderr

    def test_raw_prints_text_without_quotes(self, run, store, key):
        """What is no text is JSON still."""
        store.batch_create({f"{key}a": 'say "hi"\nü', f"{key}b": ["x"]})

        assert (0, 'say "hi"\nü\n["x"]\n', "") == said(run("read", "--raw", f"{key}a", f"{key}b"))

    def test_entry_prints_all_that_is_known(self, run, store, key):
        """As --json does."""
        revision = store.create(key, None)

        assert {"key": key, "value": None, "revision": revision} == json.loads(run("read", "--entry", key).stdout)
        assert run("read", "--entry", key).stdout == run("read", "--json", key).stdout


def test_pop_prints_what_it_deletes(run, store, key):
    """Once; with --if-revision only that revision."""
    store.create(key, {"a": 1})

    assert 4 == run("pop", key, "--if-revision", "0").returncode
    assert (0, '{"a": 1}\n', "") == said(run("pop", key))
    assert (3, "") == said(run("pop", key))[:2]


def test_delete_at_a_revision(run, store, key):
    """Of a single key."""
    revision = store.create(key, 1)

    assert 4 == run("delete", key, "--if-revision", str(revision + 1)).returncode
    assert 2 == run("delete", key, f"{key}b", "--if-revision", str(revision)).returncode
    assert (0, "", "") == said(run("delete", key, "--if-revision", str(revision)))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [([], "2"), (["4"], "5"), (["-3"], "-2"), (["-0.5"], "0.5"), (["--initial", "7"], "2"), (["0"], "1")],
    ids=str,
)
def test_increment_prints_the_sum(run, store, key, arguments, expected):
    """A negative number is no option."""
    store.create(key, 1)

    assert (0, f"{expected}\n", "") == said(run("increment", key, *arguments))
    assert json.loads(expected) == store.read(key)


def test_increment_of_a_new_key(run, store, key):
    """From --initial on, with a TTL."""
    assert {"value": 11} == json.loads(run("increment", key, "--initial", "10", "--ttl", "500", "--json").stdout)
    assert store.entry(key).expires_at is not None


def test_exists_tells_and_exits(run, store, key):
    """True with 0, false with 3."""
    assert (3, "false\n", "") == said(run("exists", key))
    store.create(key, 1)
    assert (0, "true\n", "") == said(run("exists", key))
    assert (0, {"exists": True}) == ((done := run("exists", key, "--json")).returncode, json.loads(done.stdout))


def test_count(run, store, key):
    """Of those that begin so."""
    store.batch_create({f"{key}a": 1, f"{key}b": 2})

    assert (0, "2\n", "") == said(run("count", key))
    assert {"count": 0} == json.loads(run("count", f"{key}x", "--json").stdout)


class TestList:
    def test_keys_are_a_line_each(self, run, store, key):
        """In their order, from one on, and so many."""
        store.batch_create({f"{key}{end}": end for end in "cab"})

        assert (0, f"{key}a\n{key}b\n{key}c\n", "") == said(run("list", key))
        assert f"{key}b\n" == run("list", key, "--after", f"{key}a", "--limit", "1").stdout
        assert (0, "", "") == said(run("list", f"{key}x"))

    def test_values_stand_behind_a_tab(self, run, store, key):
        """Which no key has."""
        store.create(key, {"a": "ü\t"})

        assert f'{key}\t{{"a": "ü\\t"}}\n' == run("list", key, "--values").stdout

    def test_json_is_an_object_a_line(self, run, store, key):
        """With values where they are asked for."""
        revision = store.create(key, [1])

        assert {"key": key, "revision": revision} == json.loads(run("list", key, "--json").stdout)
        assert {"key": key, "value": [1], "revision": revision} == json.loads(
            run("list", key, "--json", "--values").stdout
        )


@pytest.mark.parametrize(("seconds", "expires"), [("500", True), ("never", False)])
def test_expire(run, store, key, seconds, expires):
    """Seconds from now on, or never."""
    store.create(key, 1, ttl=1000)
    before = store.entry(key).expires_at

    assert (0, "", "") == said(run("expire", key, seconds))
    after = store.entry(key).expires_at
    assert expires == (after is not None)
    assert after is None or after < before


class TestWatch:
    @pytest.fixture
    def watching(self, shared_daemon, directory):
        """Start kvctl watch and return its process, which ends with the test."""
        processes = []

        def watching(*arguments):
            environ = environment(directory, KVD_ENDPOINT=shared_daemon.endpoint)
            processes.append(
                subprocess.Popen([*KVCTL, "watch", *arguments], env=environ, stdout=subprocess.PIPE, text=True)
            )
            return processes[-1]

        yield watching
        for process in processes:
            process.kill()
            process.communicate()

    def test_events_are_a_line_each(self, watching, store, key):
        """At once, though the output is a pipe."""
        revision = store.create(key, [1])
        process = watching(key, "--after", str(revision - 1))

        assert f"created\t{key}\t[1]\n" == process.stdout.readline()
        store.put(key, "ü")
        assert f'updated\t{key}\t"ü"\n' == process.stdout.readline()
        store.delete(key)
        assert f"deleted\t{key}\n" == process.stdout.readline()

    def test_json_is_an_object_a_line(self, watching, store, key):
        """As on the wire: no value of what is gone."""
        revision = store.create(key, None)
        store.delete(key)
        process = watching(key, "--after", str(revision - 1), "--json")

        created, deleted = (json.loads(process.stdout.readline()) for _ in range(2))
        assert ("created", key, None, revision) == tuple(created[name] for name in ("kind", "key", "value", "revision"))
        assert {"kind", "key", "value", "revision", "time"} == set(created)
        assert {"kind", "key", "previous", "revision", "time"} == set(deleted)

    def test_once_ends_with_the_first_event(self, watching, store, key):
        """Exit code 0."""
        revision = store.create(key, 1)
        store.put(key, 2)
        process = watching(key, "--after", str(revision - 1), "--once")

        assert (f"created\t{key}\t1\n", None) == process.communicate(timeout=60)
        assert 0 == process.returncode


class TestBatch:
    @pytest.mark.parametrize("layout", ["array", "lines"])
    def test_prints_a_result_a_line(self, run, store, key, layout):
        """Of an array, or of an operation a line."""
        operations = [{"op": "put", "key": key, "value": 1}, {"op": "increment", "key": key}]
        text = json.dumps(operations, indent=2) if layout == "array" else "\n\n".join(map(json.dumps, operations))

        done = run("batch", "-", stdin=text)

        assert (0, "") == (done.returncode, done.stderr)
        put, increment = map(json.loads, done.stdout.splitlines())
        assert {"revision"} == set(put)
        assert {"value": 2, "revision": store.entry(key).revision} == increment

    def test_json_is_one_line(self, run, key, directory):
        """Of a file as well."""
        file = directory / "operations.jsonl"
        file.write_text(json.dumps({"op": "put", "key": key, "value": 1}))

        (result,) = json.loads(run("batch", str(file), "--json").stdout)["results"]
        assert {"revision"} == set(result)

    @pytest.mark.parametrize(
        ("text", "code", "reason"),
        [
            ('{"op": "pop", "key": "KEYx"}', 3, "does not exist"),
            (
                '[{"op": "put", "key": "KEY", "value": 1}, {"op": "create", "key": "KEY", "value": 1}]',
                4,
                "Operation 1 of the batch: Key 'KEY' exists",
            ),
            ('\n{"op": "pop", "key": "KEYx"}', 3, "Line 2 of standard input: Key 'KEYx' does not exist"),
            ('{"op": "put", "key": "KEY", "value": 1}\n{"op"', 2, "Line 2 of standard input is not JSON"),
            ("[1", 2, "The array in standard input is not JSON"),
            ("[1]", 2, "Operation 0 of the batch: An operation is an object"),
            ('{"op": "put", "key": "KEY"}', 2, "Line 1 of standard input: put needs the field 'value'"),
            ('{"op": "put", "key": "", "value": 1}', 2, "A key cannot be empty"),
        ],
    )
    def test_refusals(self, run, store, key, text, code, reason):
        """One line, an exit code, and nothing was done."""
        done = run("batch", "-", stdin=text.replace("KEY", key))

        assert (code, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
        assert reason.replace("KEY", key) in done.stderr
        assert not store.exists(key)


class TestClear:
    def test_prints_the_count(self, run, store, key):
        """And asks nothing with --yes."""
        store.batch_create({f"{key}a": 1, f"{key}b": 2})

        assert (0, "2\n", "") == said(run("clear", key, "--yes"))
        assert {"deleted": 0} == json.loads(run("clear", key, "--yes", "--json").stdout)

    def test_needs_yes_where_nobody_can_be_asked(self, run, store, key):
        """Exit code 2."""
        store.create(key, 1)
        done = run("clear", key, stdin="y\n")

        assert (2, "") == (done.returncode, done.stdout)
        assert "--yes" in done.stderr
        assert store.exists(key)

    @pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, False), (b"n\n", 1, True), (b"\n", 1, True)])
    def test_asks_on_a_terminal(self, store, key, directory, shared_daemon, answer, code, left):
        """How many there are, and deletes only after a yes."""
        store.create(key, 1)
        ours, its = pty.openpty()
        os.write(ours, answer)
        done = subprocess.run(
            [*KVCTL, "clear", key],
            stdin=its,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=environment(directory, KVD_ENDPOINT=shared_daemon.endpoint),
        )
        os.close(ours)
        os.close(its)

        assert code == done.returncode
        assert f"Delete 1 key that begins with '{key}' from {shared_daemon.file}? [y/N]: " in done.stderr
        assert left == store.exists(key)


def test_stats_for_a_person_and_for_a_program(run):
    """What was done, and how much there is."""
    done = run("stats")
    assert (0, "") == (done.returncode, done.stderr)
    assert {"operations", "reads", "commits", "keys", "file"} <= {line.split()[0] for line in done.stdout.splitlines()}
    assert {"hits", "misses", "operations"} <= set(json.loads(run("stats", "--json").stdout))


USAGE = {
    "no value": (["put", "KEY"], "Missing argument 'VALUE'"),
    "two values": (["put", "KEY", "1", "--string", "x"], "Give either VALUE or --string, not both."),
    "two TTLs": (["update", "KEY", "1", "--ttl", "5", "--keep-ttl"], "Give either --ttl or --keep-ttl, not both."),
    "a revision below 0": (["put", "KEY", "1", "--if-revision", "-1"], "--if-revision"),
    "a revision that is none": (["put", "KEY", "1", "--if-revision", "9" * 30], "it must be at most"),
    "a pid beyond all": (["put", "KEY", "1", "--ephemeral-for", "9" * 30], "it must be at most"),
    "a pid that is none": (["put", "KEY", "1", "--ephemeral-for", "0"], "--ephemeral-for"),
    "no number": (["increment", "KEY", "two"], "'two' is not a number"),
    "no finite number": (["increment", "KEY", "inf"], "'inf' is not a number"),
    "a number as Python writes it": (["increment", "KEY", "1_000"], "'1_000' is not a number"),
    "a number beyond a double": (["increment", "KEY", "1e999"], "'1e999' is not a number"),
    "a mistyped option of increment": (["increment", "--inital", "3"], "No such option: --inital"),
    "a mistyped option of put": (["put", "--tll", "5"], "No such option: --tll"),
    "no seconds": (["expire", "KEY", "soon"], "neither a number nor never"),
    "seconds below 0": (["expire", "KEY", "-3"], "above 0"),
    "raw entries": (["read", "KEY", "--raw", "--entry"], "--raw prints only values"),
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_is_exit_code_2(run, key, case):
    """With the reason on standard error, and nothing on standard output."""
    arguments, reason = USAGE[case]
    done = run(*(key if argument == "KEY" else argument for argument in arguments))

    assert (2, "") == (done.returncode, done.stdout)
    assert reason in " ".join(done.stderr.split())


FAST = """
import sys
from kvclient.cli import _run
_run(["read", sys.argv[1]])
assert not {"typer", "pydantic", "asyncio"} & set(sys.modules), sys.modules.keys()
"""


def test_reading_a_key_imports_no_typer(shared_daemon, store, key, directory):
    """It is what scripts do most."""
    store.create(key, 1)
    done = subprocess.run(
        [KVCTL[0], "-c", FAST, key],
        env=environment(directory, KVD_ENDPOINT=shared_daemon.endpoint),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (0, "1\n", "") == said(done)


def test_every_command_takes_the_common_options():
    """Which daemon is meant, for how long to wait, and JSON."""
    commands = dict(typer.main.get_command(app).commands)
    del commands["service"], commands["keys"]  # which do without a daemon

    for name, command in commands.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--store", "--endpoint", "--timeout", "--json"} <= options, name
