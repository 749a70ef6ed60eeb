"""kvd in the surroundings that programs meet: paths that are no UTF-8, output that cannot be written."""

import json
import os
import subprocess

import pytest

from processes import KVD, environment, kvctl
from stores import Opened


def test_paths_that_are_no_utf_8(directory, start_daemon):
    """They are served and told of like others, with the bytes that are no text as escapes."""
    home = directory / os.fsdecode(b"\xff")
    daemon = start_daemon("--file", str(home / "own.json"))
    status = json.loads(daemon.ask(b'{"op":"status"}'))["status"]
    started = kvctl("create", "key1", "1", directory=home)
    shown = kvctl("status", directory=home)
    stopped = kvctl("stop", directory=home)

    assert rf"{directory}/\xff/own.json" == status["file"]
    assert (0, 0, 0) == (started.returncode, shown.returncode, stopped.returncode)
    assert rf"ipc://{directory}/\xff/run/kvd/data_store.sock" in shown.stdout
    assert daemon.answers()


def kvd(directory, *arguments, stdout, **options):
    """Run kvd with a standard output of one's own, written when it ends; return its exit code and what it said."""
    done = subprocess.run(
        [*KVD, *arguments],
        env=environment(directory, PYTHONUNBUFFERED="", **options),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, done.stderr


COMMANDS = pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", "FILE"], 2),  # and not 1, which says that the file is damaged
        (["check", "FILE", "--json"], 2),
        (["repair", "FILE"], 1),
        (["schema"], 1),
        (["--version"], 1),
        (["--help"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)


@pytest.fixture
def file(directory):
    """A sound data file."""
    path = directory / "store.json"
    with Opened(path) as store:
        store.create("key1", 1)
    return path


@COMMANDS
def test_a_full_disk_is_told(directory, file, arguments, code):
    """Output that could not be written is one line, and no verdict on the file."""
    with open("/dev/full", "w") as full:
        told = kvd(directory, *(str(file) if each == "FILE" else each for each in arguments), stdout=full)

    assert (code, "kvd: The output cannot be written: No space left on device.\n") == told


@COMMANDS
def test_a_closed_pipe_is_no_traceback(directory, file, arguments, code):
    """`kvd schema | head -c 0`: the reader has enough, and nothing is said of it."""
    reading, writing = os.pipe()
    os.close(reading)
    told = kvd(directory, *(str(file) if each == "FILE" else each for each in arguments), stdout=writing)
    os.close(writing)

    assert (code, "") == told


def test_paths_are_printed_whatever_the_output_takes(directory):
    """A path that is no UTF-8 is shown with escapes."""
    path = directory / os.fsdecode(b"\xff.json")
    with Opened(path) as store:
        store.create("key1", 1)
    shown = directory / "shown"
    with shown.open("w") as output:
        told = kvd(directory, "check", str(path), stdout=output, PYTHONIOENCODING="utf-8:strict")

    assert (0, "") == told
    assert rf"{directory}/\udcff.json: sound" in shown.read_text()


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_not_keep_it_from_serving(start_daemon, closed):
    """As a service manager may start it."""
    daemon = start_daemon(prefix=("sh", "-c", f'exec "$@" {closed}', "sh"))

    assert b'"ok":true' in daemon.ask(b'{"op":"create","key":"key1","value":1}')
    assert 0 == daemon.stop()
    assert 1 == json.loads(daemon.file.read_text())["key1"]["value"]


def test_a_check_that_cannot_be_made_finds_no_damage(directory):
    """Exit code 1 is for damage alone."""
    with open(os.devnull, "w") as output:
        code, said = kvd(directory, "check", stdout=output, KVD_SYNC="sometimes")

    assert 2 == code
    assert said.startswith("kvd: Setting sync = 'sometimes' is invalid")
