"""kvctl in the surroundings that programs meet: terminals, pipes that close, other encodings, Ctrl-C, signals."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from kvclient import Client
from processes import KVCTL, environment, kvctl, wait_until


@pytest.fixture
def store(shared_daemon):
    with Client(shared_daemon.endpoint) as store:
        yield store


@pytest.fixture
def launch(shared_daemon, directory):
    """Start kvctl with descriptors of one's own; it ends with the test."""
    processes = []

    def launch(*arguments, endpoint=shared_daemon.endpoint, variables=(), **options):
        # As most programs run it: with output that is written when it ends.
        environ = environment(directory, KVD_ENDPOINT=endpoint, PYTHONUNBUFFERED="", **dict(variables))
        processes.append(subprocess.Popen([*KVCTL, *arguments], env=environ, **options))
        return processes[-1]

    yield launch
    for process in processes:
        process.kill()
        process.wait()


def on_a_terminal(launch, *arguments, code=0):
    """Return what a command prints on a terminal, colour aside."""
    ours, its = pty.openpty()
    process = launch(*arguments, stdout=its, stderr=its, variables={"NO_COLOR": "1"})
    os.close(its)
    printed = b""
    try:
        while chunk := os.read(ours, 4096):
            printed += chunk
    except OSError:  # how a terminal tells that its last user is gone
        pass
    os.close(ours)
    assert code == process.wait(timeout=30)
    return printed.decode().replace("\r\n", "\n")


def test_a_terminal_gets_indented_json(launch, store, key):
    """A person reads it in lines, a pipe gets one line."""
    store.create(key, {"name": ["value1"]})

    assert '{\n  "name": [\n    "value1"\n  ]\n}\n' == on_a_terminal(launch, "read", key)


COMMANDS_TO_TERMINALS = "\x7f\x80\x9b2J\u061c\u200e\u200f\u202a\u202e\u2066\u2069"


@pytest.mark.parametrize("arguments", [(), ("--json",)], ids=["read", "read --json"])
def test_a_terminal_gets_no_commands_from_a_value(launch, store, key, arguments):
    """What would move its cursor or turn the text around is shown as JSON escapes; a pipe gets the value as it is."""
    value = {COMMANDS_TO_TERMINALS: ["ü😀\x1b[2J\t" + COMMANDS_TO_TERMINALS]}
    store.create(key, value)

    printed = on_a_terminal(launch, "read", key, *arguments)
    piped = launch("read", key, *arguments, stdout=subprocess.PIPE).communicate(timeout=30)[0].decode()

    assert set() == set(COMMANDS_TO_TERMINALS + "\x1b\t") & set(printed) - set("2J")
    assert r"\u009b2J\u061c" in printed
    assert "ü😀" in printed
    assert set(COMMANDS_TO_TERMINALS) <= set(piped)
    for text in (printed, piped):
        assert value == (json.loads(text)["value"] if arguments else json.loads(text))


def test_a_terminal_gets_no_commands_from_an_error(launch, key):
    """A key in a message turns no text around."""
    assert r"\u202e" in on_a_terminal(launch, "read", f"{key}\u202e", code=3)


@pytest.mark.parametrize("arguments", [("read", "KEY"), ("read", "KEY", "--json"), ("status",)], ids=" ".join)
def test_a_closed_pipe_is_no_traceback(launch, store, key, arguments):
    """`kvctl read KEY | head -c 0`: the reader has enough, and nothing is said of it."""
    store.create(key, "x" * 10_000)
    reading, writing = os.pipe()
    os.close(reading)

    process = launch(*(key if each == "KEY" else each for each in arguments), stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)

    assert (None, b"") == process.communicate(timeout=30)
    assert 1 == process.returncode


@pytest.mark.parametrize("arguments", [("read", "KEY"), ("read", "KEY", "--json"), ("read", "missing")], ids=" ".join)
def test_closed_standard_streams_are_no_traceback(directory, shared_daemon, store, key, arguments):
    """As a service manager may start it: `kvctl … >&- 2>&-`."""
    store.create(key, 1)
    shell = 'exec "$@" <&- >&-'
    arguments = [key if each == "KEY" else each for each in arguments]
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *KVCTL, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=30,
        env=environment(directory, KVD_ENDPOINT=shared_daemon.endpoint),
    )

    assert "Traceback" not in done.stderr
    assert 1 == done.stderr.count("\n")
    assert (3 if "missing" in arguments else 1) == done.returncode


@pytest.mark.parametrize("arguments", [("create", "key", "-"), ("batch-create", "-")], ids=" ".join)
def test_standard_input_that_is_closed(launch, arguments):
    """`kvctl create key - <&-` says so."""
    process = launch(*arguments, stderr=subprocess.PIPE, preexec_fn=lambda: os.close(0))
    _, errors = process.communicate(timeout=30)

    assert (1, b"kvctl: Standard input cannot be read: it is closed.\n") == (process.returncode, errors)


def test_errors_do_not_turn_into_data(directory, shared_daemon):
    """With standard error closed, `kvctl read missing 2>&-` prints nothing at all."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *KVCTL, "read", "missing"],
        stdout=subprocess.PIPE,
        check=False,
        timeout=30,
        env=environment(directory, KVD_ENDPOINT=shared_daemon.endpoint),
    )

    assert (3, b"") == (done.returncode, done.stdout)


def test_a_full_disk_is_told(launch, store, key):
    """Output that could not be written is not passed over in silence."""
    store.create(key, 1)
    with open("/dev/full", "w") as full:
        process = launch("read", key, stdout=full, stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=30)

    assert 1 == process.returncode
    assert b"Traceback" not in errors
    assert b"No space left on device" in errors


@pytest.mark.parametrize("option", [(), ("--json",)], ids=" ".join)
def test_where_not_even_errors_can_be_written_the_exit_code_tells(launch, option):
    """`kvctl read missing 2>/dev/full` is still the error of a key that is missing."""
    with open("/dev/full", "w") as full:
        process = launch("read", "missing", *option, stderr=full)

    assert 3 == process.wait(timeout=30)


@pytest.mark.parametrize("arguments", [("read", "KEY"), ("create", "KEY", "1")], ids=" ".join)
def test_ctrl_c_ends_a_command_that_waits(launch, daemon, key, arguments):
    """Exit code 130, as of other commands, and no traceback."""
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        process = launch(
            *(key if each == "KEY" else each for each in arguments), endpoint=daemon.endpoint, stderr=subprocess.PIPE
        )
        wait_until(lambda: sockets(process) > 0)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        daemon.process.send_signal(signal.SIGCONT)

    assert 130 == process.returncode
    assert b"Traceback" not in errors


INTERRUPTED = """
import sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            del sys.argv[1]
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from kvclient.cli import main
main()
"""


@pytest.mark.parametrize(
    ("module", "arguments"), [("kvclient.client.blocking", ["read", "key"]), ("typer", ["create", "key", "1"])]
)
def test_ctrl_c_ends_a_command_that_starts(directory, module, arguments):
    """No traceback either, of whatever is being imported just then."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module, *arguments],
        env=environment(directory),
        stderr=subprocess.PIPE,
        check=False,
        timeout=30,
    )

    assert (130, b"") == (done.returncode, done.stderr)


def sockets(process):
    """The number of sockets that a process has open: some once it talks to the daemon."""
    count = 0
    for descriptor in os.scandir(f"/proc/{process.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += os.readlink(descriptor).startswith("socket:")
    return count


def test_no_answer_in_time(run, daemon, key):
    """Exit code 6, and whether the request may have been carried out."""
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        done = run("create", key, "1", "--endpoint", daemon.endpoint, "--timeout", "0.2")
    finally:
        daemon.process.send_signal(signal.SIGCONT)

    assert (6, "") == (done.returncode, done.stdout)
    assert "within 0.2 s. The request may have been carried out" in done.stderr


PLAIN = {"LANG": "C", "LC_ALL": "C"}


def test_where_the_output_is_not_utf_8_values_are_ascii(run, store, key):
    """Other characters are escaped: still the same JSON."""
    store.create(key, "😀 ü")
    done = run("read", key, **PLAIN, PYTHONIOENCODING="latin-1")

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.isascii()
    assert "😀 ü" == json.loads(done.stdout)


def test_without_a_locale_arguments_are_still_utf_8(run, store, key):
    """Keys and values arrive as they were typed, and errors show them somehow."""
    special = f"{key}ü"

    assert 0 == run("create", special, '"😀"', **PLAIN).returncode
    assert "😀" == store.read(special)
    done = run("create", special, "1", **PLAIN)
    assert (4, "") == (done.returncode, done.stdout)
    assert key in done.stderr


@pytest.mark.parametrize("variables", [{}, PLAIN], ids=["utf-8", "C"])
def test_arguments_that_are_no_utf_8(launch, variables):
    """Bytes that are no text are an invalid key or value, with exit code 2 and one line."""
    for arguments in ([b"read", b"\xff\xfe"], [b"create", b"a\xff", b"1"], [b"create", b"key", b'"\xff"']):
        process = launch(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, variables=variables)
        output, errors = process.communicate(timeout=30)

        assert (2, b"", 1) == (process.returncode, output, errors.count(b"\n"))
        assert b"lone surrogate" in errors


def test_standard_input_that_is_no_utf_8(launch):
    """The message names the byte."""
    process = launch("create", "key", "-", stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    _, errors = process.communicate(b'"a\xff"', timeout=30)

    assert (2, b"kvctl: Standard input is not UTF-8: byte 2 is 0xff.\n") == (process.returncode, errors)


def test_the_first_command_starts_a_daemon(directory):
    """Creating a key on a new machine just works, so does reading when the daemon has gone; `stop` ends what ran."""
    created = kvctl("create", "key1", "1", "--timeout", "60", directory=directory)
    stopped = kvctl("stop", directory=directory)
    read = kvctl("read", "key1", "--timeout", "60", directory=directory)
    again = kvctl("stop", directory=directory)

    assert (0, 0, 0, 0) == (created.returncode, stopped.returncode, read.returncode, again.returncode)
    assert "1\n" == read.stdout
    assert {"revision": 1, "value": 1} == json.loads((directory / "Documents" / "data_store.json").read_text())["key1"]


def test_ping_status_and_stop_start_none(directory):
    """Asking whether a daemon runs is no reason to start one."""
    for command in ("ping", "status", "stop"):
        assert 6 == kvctl(command, "--timeout", "0.1", directory=directory).returncode
    assert not (directory / "Documents").exists()


@pytest.mark.parametrize(
    "arguments",
    [("completion", "bash"), ("stats",), ("status",), ("list",), ("bench", "--duration", "0.1", "--clients", "1")],
    ids=" ".join,
)
def test_a_closed_standard_output_is_an_error(directory, shared_daemon, arguments):
    """Not a traceback, nor a success: what was asked for is nowhere."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *KVCTL, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
        env=environment(directory, KVD_ENDPOINT=shared_daemon.endpoint),
    )

    assert (1, "kvctl: The output cannot be written: standard output is closed.\n") == (done.returncode, done.stderr)


def test_no_file_gets_the_number_of_a_closed_stream():
    """What others print to it would end in the file."""
    code = "from kvclient.screen.console import prepare; prepare(); import os; os._exit(os.open('/', os.O_RDONLY))"
    done = subprocess.run(["sh", "-c", 'exec "$@" >&- 2>&-', "sh", KVCTL[0], "-c", code], check=False, timeout=60)

    assert done.returncode > 2


def test_wrong_usage_has_its_exit_code_on_a_full_disk(directory):
    """Even if nobody can be told what was wrong."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([*KVCTL, "fly"], stderr=full, check=False, timeout=60, env=environment(directory))

    assert 2 == done.returncode
