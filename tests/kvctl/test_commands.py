"""What each command does, prints and exits with."""

import json
import re
import shlex
import subprocess

import pytest

from kvclient import Client
from processes import KVCTL, KVD, environment, kvctl


@pytest.fixture
def store(shared_daemon):
    with Client(shared_daemon.endpoint) as store:
        yield store


def said(done):
    """What a person or a script sees."""
    return done.returncode, done.stdout, done.stderr


def test_create_read_delete(run, key):
    """Silence is success; `read` prints the value in one line for a pipe."""
    assert (0, "", "") == said(run("create", key, '{"name": "value1"}', "--ttl", "500"))
    assert (0, '{"name": "value1"}\n', "") == said(run("read", key))
    assert (0, "", "") == said(run("delete", key))
    assert (3, "", f"kvctl: Key '{key}' does not exist, or has expired.\n") == said(run("read", key))
    assert (3, "", f"kvctl: Key '{key}' does not exist, or has expired.\n") == said(run("delete", key))


def test_results_as_json(run, store, key):
    """With --json every command prints one line of JSON."""
    created = run("create", key, "[1]", "--ttl", "500", "--json")
    read = run("read", key, "--json")
    batch = run("batch-create", "-", "--json", stdin=f'{{"{key}a": 1, "{key}b": 2}}')
    deleted = run("delete", f"{key}a", f"{key}b", "--json")
    ping, status, compacted = run("ping", "--json"), run("status", "--json"), run("compact", "--json")

    revision = json.loads(created.stdout)["revision"]
    entry = store.entry(key)
    assert {
        "key": key,
        "value": entry.value,
        "revision": entry.revision,
        "expires_at": entry.expires_at,
    } == json.loads(read.stdout)
    assert {"created": 2, "revision": revision + 1} == json.loads(batch.stdout)
    assert {"deleted": [f"{key}a", f"{key}b"], "revision": revision + 3} == json.loads(deleted.stdout)
    assert {"endpoint", "seconds"} == set(json.loads(ping.stdout))
    assert store.status()["pid"] == json.loads(status.stdout)["pid"]
    assert {"compacting": True} == json.loads(compacted.stdout)
    for done in (created, read, batch, deleted, ping, status, compacted):
        assert (0, "", 1) == (done.returncode, done.stderr, done.stdout.count("\n"))


def test_values_from_standard_input(run, store, key):
    """`-` as VALUE reads JSON of any size and layout from a pipe."""
    value = {"text": "ü😀" * 1000, "list": [1, 2.5, None]}

    assert (0, "", "") == said(run("create", key, "-", stdin=json.dumps(value, indent=4)))
    assert value == store.read(key)


def test_batches_from_a_file(run, store, key, directory):
    """batch-create takes a file's path as well."""
    file = directory / "batch.json"
    file.write_text(json.dumps({f"{key}a": 1, f"{key}b": [2]}))

    assert (0, "", "") == said(run("batch-create", str(file), "--ttl", "500"))
    assert [2] == store.read(f"{key}b")
    assert store.entry(f"{key}a").expires_at is not None
    done = run("batch-create", str(file))
    assert (4, "") == (done.returncode, done.stdout)
    assert f"{key}a" in done.stderr
    assert f"{key}b" in done.stderr


@pytest.mark.parametrize("value", ["-5", "-0.5", "-1e3"])
def test_negative_numbers_are_values(run, store, key, value):
    """A number with a minus is no option."""
    assert (0, "", "") == said(run("create", key, value))
    assert float(value) == store.read(key)


def test_keys_of_any_text(run, store, key):
    """Unicode passes through arguments and output as it is."""
    special = f"{key} ü😀"

    assert (0, "", "") == said(run("create", special, '"日本語 😀"'))
    assert "日本語 😀" == store.read(special)
    assert (0, '"日本語 😀"\n', "") == said(run("read", special))


def test_keys_that_look_like_options(run, store, key):
    """`--` ends the options."""
    assert (0, "", "") == said(run("create", "--ttl", "500", "--", f"--{key}", "1"))
    assert 1 == store.read(f"--{key}")

    assert (0, "1\n", "") == said(run("read", "--", f"--{key}"))
    assert (0, "", "") == said(run("delete", "--", f"--{key}"))


def test_delete_of_several_deletes_what_is_there(run, store, key):
    """A key that is missing is told of, and the others are deleted all the same."""
    store.batch_create({f"{key}a": 1, f"{key}c": 1})

    done = run("delete", f"{key}a", f"{key}b", f"{key}c")

    assert (3, "", f"kvctl: Key '{key}b' does not exist, or has expired.\n") == said(done)
    assert 3 == run("read", f"{key}c").returncode


def test_status_for_a_person(run, shared_daemon):
    """Pid, endpoint, file and size in a table."""
    done = run("status")

    assert (0, "") == (done.returncode, done.stderr)
    assert f"pid {shared_daemon.process.pid}, up " in done.stdout
    assert shared_daemon.endpoint in done.stdout
    assert str(shared_daemon.file) in done.stdout
    assert " of 1.0 GiB, " in done.stdout


def test_ping_tells_a_person_how_fast(run, shared_daemon):
    """On standard error: it is no data."""
    done = run("ping")

    assert (0, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"{shared_daemon.endpoint} answers in ")


def test_stop_returns_when_the_daemon_is_gone(daemon):
    """After it the file is free at once."""
    pid = daemon.process.pid
    done = kvctl("stop", "--timeout", "1e7", "--endpoint", daemon.endpoint, directory=daemon.directory)

    assert (0, "", f"stopped the daemon (pid {pid})\n") == said(done)
    assert 0 == daemon.process.wait(timeout=30)
    daemon.start()


REFUSED = {
    "value is not JSON": (2, ["create", "KEY", "{name: 1}"], "VALUE is not JSON: "),
    "empty value": (2, ["create", "KEY", ""], "VALUE is not JSON: "),
    "NaN": (2, ["create", "KEY", "NaN"], "NaN is not a JSON number"),
    "too large for a double": (2, ["create", "KEY", "1e999"], "is not JSON"),
    "nested": (2, ["create", "KEY", "[" * 100_000], "VALUE is not JSON"),
    "value missing": (2, ["create", "KEY"], "Missing argument 'VALUE'"),
    "empty key": (2, ["create", "", "1"], "A key cannot be empty."),
    "control character": (2, ["read", "a\tb"], "holds a control character (U+0009)"),
    "ttl zero": (2, ["create", "KEY", "1", "--ttl", "0"], "A TTL is a finite number of seconds above 0"),
    "ttl negative": (2, ["create", "KEY", "1", "--ttl", "-1"], "A TTL is a finite number of seconds above 0"),
    "ttl nan": (2, ["create", "KEY", "1", "--ttl", "nan"], "A TTL is a finite number of seconds above 0"),
    "ttl text": (2, ["create", "KEY", "1", "--ttl", "soon"], "Invalid value for '--ttl'"),
    "unknown command": (2, ["fly"], "No such command 'fly'"),
    "unknown option": (2, ["read", "KEY", "--fly"], "No such option"),
    "unknown option before the key": (2, ["create", "--tll", "5"], "No such option: --tll. Did you mean --ttl?"),
    "unknown short option": (2, ["create", "-t", "5"], "No such option: -t. To use an argument that"),
    "unknown option for a value": (2, ["create", "KEY", "--tll"], "No such option: --tll. Did you mean --ttl?"),
    "unknown option behind the value": (
        2,
        ["create", "KEY", "1", "--tll", "5"],
        "No such option: --tll. Did you mean --ttl?",
    ),
    "cluster with -h": (2, ["put", "-dash", "1"], "No such option: -dash. To use an argument that begins with -"),
    "beginning with -h": (2, ["read", "-hash"], "No such option: -hash."),
    "option before the command": (2, ["--store", "work", "list"], "It goes after the command: kvctl COMMAND --store"),
    "empty store": (2, ["list", "--store", ""], "Invalid value for '--store': it is empty."),
    "empty endpoint": (2, ["list", "--endpoint", ""], "Invalid value for '--endpoint': it is empty."),
    "too many arguments": (2, ["read", "KEY", "--json=1"], "does not take a value"),
    "not one of several": (2, ["import", "x", "--on-conflict", "y"], "'y' is not one of 'fail', 'skip', 'replace'"),
    "limit below 0": (2, ["list", "--limit", "-1"], "Invalid value for '--limit': it must be at least 0."),
    "revision not a number": (2, ["put", "KEY", "1", "--if-revision", "x"], "it is not a whole number."),
    "superfluous": (2, ["create", "KEY", "1", "2", "3"], "Unexpected arguments: 2 3"),
    "no argument": (2, ["read"], "Missing argument 'KEY'"),
    "no command": (2, [], "Usage: kvctl"),
    "key too long": (5, ["create", "k" * 257, "1"], "the limit is 256 (setting max_key_length)"),
    "store name": (1, ["read", "KEY", "--store", "../x"], "A store's name has letters"),
    "endpoint nonsense": (1, ["read", "KEY", "--endpoint", "nonsense"], "An endpoint is an address such as"),
    "no such transport": (
        1,
        ["read", "KEY", "--endpoint", "x://y"],
        "An endpoint begins with ipc:// or tcp://: 'x://y'",
    ),
    "endpoint too long": (1, ["read", "KEY", "--endpoint", f"ipc:///{'x' * 107}"], "a Unix socket's can have 107"),
    **{
        f"endpoint {endpoint}": (1, ["read", "KEY", "--endpoint", endpoint], reason)
        for endpoint, reason in [
            ("ipc:///", "needs an absolute path of a socket"),
            ("tcp://a..b:80", "needs a host and a port"),
            ("tcp://127.0.0.1:0", "a port from 1 to 65535"),
            ("tcp://127.0.0.1:99999", "a port from 1 to 65535"),
            (f"tcp://127.0.0.1:{'9' * 30}", "a port from 1 to 65535"),
        ]
    },
    "timeout infinite": (2, ["ping", "--timeout", "inf"], "Invalid value for '--timeout'"),
    "timeout nan": (2, ["ping", "--timeout", "nan"], "Invalid value for '--timeout'"),
    "duration infinite": (2, ["bench", "--duration", "inf"], "Invalid value for '--duration'"),
    "nobody there": (
        6,
        ["read", "KEY", "--endpoint", "ipc:///nowhere/x.sock", "--timeout", "0.1"],
        "No daemon listens",
    ),
    "file missing": (1, ["batch-create", "/nowhere/x.json"], "/nowhere/x.json cannot be read: No such file"),
    "file is a directory": (1, ["batch-create", "/"], "/ cannot be read: Is a directory"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_one_line_and_an_exit_code(run, key, case):
    """Nothing goes to standard output, and the reason to standard error."""
    code, arguments, reason = REFUSED[case]
    done = run(*(key if argument == "KEY" else argument for argument in arguments))

    assert (code, "") == (done.returncode, done.stdout)
    assert reason in done.stderr
    if arguments:
        assert done.stderr.startswith("kvctl: ")
        assert 1 == done.stderr.count("\n")


@pytest.mark.parametrize(
    ("stdin", "code", "reason"),
    [
        ("[1]", 2, "Standard input is not a JSON object of keys and values"),
        ("{", 2, "Standard input is not JSON"),
        (json.dumps(dict.fromkeys(map(str, range(10_001)))), 5, "more than 10000 members, the limit"),
        (json.dumps({"a": "x" * (1 << 20)}), 5, "the limit is 1048576 (setting max_value_bytes)"),
        ('{"": 1}', 2, "A key cannot be empty."),
        ('{"a": "\\ud800"}', 2, "lone surrogate"),
    ],
)
def test_refused_batches(run, stdin, code, reason):
    """A batch that is none, too many, or invalid."""
    done = run("batch-create", "-", stdin=stdin)

    assert (code, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
    assert reason in done.stderr


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("value1", """'"value1"'"""),
        ("hello world", """'"hello world"'"""),
        ("{name: value1}", """'{"name": "value1"}'"""),
        ("{name:", """'{"name": "value1"}'"""),
        ("[a]", "the shell single quotes around all of it"),
        ("it's", """'"it'"'"'s"'"""),
    ],
)
def test_an_unquoted_value_gets_a_hint(run, key, value, hint):
    """The message shows how to type it for the shell."""
    done = run("create", key, value)

    assert 2 == done.returncode
    assert hint in done.stderr
    assert 3 == run("read", key).returncode


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("{'x': 1}", '{"x": 1}'),
        ("'value1'", '"value1"'),
        ("True", "true"),
        ("[None, 'ü']", '[null, "ü"]'),
        ("(1, 2)", "[1, 2]"),
        (r"{'x': '\d'}", r'{"x": "\\d"}'),
    ],
)
def test_a_python_value_gets_the_command_in_json(run, store, key, value, meant):
    """What the hint shows can be pasted: it stores what was meant."""
    done = run("create", key, value, "--ttl", "500")

    assert (2, "") == (done.returncode, done.stdout)
    assert 1 == done.stderr.count("\n")
    hint = done.stderr.rstrip().partition(" Try: ")[2]
    assert ["kvctl", "create", key, meant, "--ttl", "500"] == shlex.split(hint)
    run(*shlex.split(hint)[1:])
    assert json.loads(meant) == store.read(key)


@pytest.mark.parametrize("value", ["{'x': true}", "{'x': {1, 2}}", "{'x': 1e999}", "['x'"])
def test_a_value_in_single_quotes_gets_a_hint(run, key, value):
    """Where no command can be shown, the difference is named."""
    done = run("create", key, value)

    assert 2 == done.returncode
    assert "JSON needs double quotes, and writes true, false and null." in done.stderr
    assert "Try:" not in done.stderr


def test_errors_as_json(run, store, key):
    """With --json errors are one line of JSON, on standard error."""
    store.create(key, 1)
    done = run("create", key, "2", "--json")

    assert (4, "") == (done.returncode, done.stdout)
    error = json.loads(done.stderr)
    assert ("KeyExistsError", [key]) == (error["error"], error["keys"])
    assert f"Key '{key}' exists." == error["message"]


def test_help_shows_an_example_of_every_command(directory):
    """`kvctl --help` lists the commands, and each command's help ends with how it is typed."""
    listing = kvctl("--help", directory=directory)
    rows = [line for line in listing.stdout.splitlines() if re.match("  [a-z]", line)]
    commands = {line.split()[0] for line in rows}

    assert {"create", "read", "delete", "watch", "lock", "batch-create", "ping", "status", "stop"} <= commands
    for command in ("create", "read", "batch-create"):
        assert f"kvctl {command}" in kvctl(command, "--help", directory=directory).stdout.replace("\n", " ")


@pytest.mark.parametrize("program", [KVCTL, [*KVCTL, "service"], KVD], ids=["kvctl", "service", "kvd"])
@pytest.mark.parametrize("columns", [80, 200])
def test_help_is_as_wide_as_the_terminal_and_cuts_no_summary(directory, program, columns):
    """What does not fit goes on in the next line; on a wide terminal it fits."""
    done = subprocess.run(
        [*program, "--help"],
        capture_output=True,
        text=True,
        env=environment(directory, COLUMNS=str(columns)),
        check=True,
    )
    longest = max(map(len, done.stdout.splitlines()))

    assert "..." not in done.stdout.partition("Commands:")[2]
    assert longest <= columns
    assert (longest > 80) == (columns == 200)


def test_version(directory):
    """`kvctl --version` is for bug reports."""
    assert kvctl("--version", directory=directory).stdout.startswith("kvctl 0.")


def test_no_command_needs_the_daemons_settings(directory, run, key):
    """A settings file with the daemon's own settings does not disturb kvctl, one that is no TOML is told of."""
    config = directory / ".config" / "kvd" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('sync = "never"\nmax_batch = 5\n')
    assert 3 == run("read", key).returncode

    config.write_text("what = is this")
    done = kvctl("read", key, directory=directory)
    assert (1, "") == (done.returncode, done.stdout)
    assert "config.toml cannot be read" in done.stderr
    assert 1 == done.stderr.count("\n")
