"""A daemon is started where none runs: once, in the background, and with its own words if it cannot."""

import json
import os
import subprocess
import sys

import pytest

from kvclient import DataStoreError
from kvclient.contract.endpoint import Target
from processes import environment, kvctl

CREATE = """
import sys
from kvclient import Client
sys.stdin.readline()
with Client(timeout=60) as store:
    store.create(sys.argv[1], 1)
    print(store.status()["pid"])
"""

REFUSED = """
import sys
from kvclient import Client, DaemonUnavailableError
try:
    Client({options}).create("key1", 1)
except DaemonUnavailableError as error:
    print(error)
"""


@pytest.fixture
def home(directory):
    """A home directory whose daemons end with the test."""
    yield directory
    for socket in directory.glob("run/kvd/*.sock"):
        kvctl("stop", "--endpoint", f"ipc://{socket}", directory=directory)


def test_the_first_call_starts_a_daemon(home, python):
    """It serves the default store, and stays when the program that started it has ended."""
    pid = int(python(CREATE, "key1"))

    assert pid == int(python(CREATE, "key2"))
    assert os.getsid(pid) != os.getsid(0)
    assert {"key1", "key2"} <= set(json.loads((home / "Documents" / "data_store.json").read_text()))


def test_the_next_call_starts_another_after_a_stop(home, python):
    """A store whose daemon was stopped or killed is served again by the next call."""
    first = int(python(CREATE, "key1"))
    os.kill(first, 9)
    second = int(python(CREATE, "key2"))
    stopped = kvctl("stop", directory=home)
    third = int(python(CREATE, "key3"))

    assert 0 == stopped.returncode
    assert 3 == len({first, second, third})


def test_many_processes_at_once_end_with_one_daemon(home):
    """All calls succeed, all were answered by the same daemon, and no second one was tried."""
    starting, start = os.pipe()  # whose end all wait for
    callers = [
        subprocess.Popen(
            [sys.executable, "-c", f"print('ready', flush=True)\n{CREATE}", f"key{number}"],
            stdin=starting,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(home),
        )
        for number in range(16)
    ]
    os.close(starting)
    assert all(caller.stdout.readline() == "ready\n" for caller in callers)
    os.close(start)
    answers = [caller.communicate(timeout=100) for caller in callers]

    assert {("", 0)} == {(errors, caller.returncode) for (_, errors), caller in zip(answers, callers, strict=True)}
    assert 1 == len({pid for pid, _ in answers})
    (log,) = home.rglob("data_store.log")
    assert 1 == log.read_text().count("serving ")
    assert "in use" not in log.read_text()


def test_a_store_by_name(home, python):
    """The daemon that is started serves the store that was asked for."""
    python(CREATE.replace("Client(", "Client(store='work', "), "key1")

    assert "key1" in json.loads((home / "Documents" / "work.json").read_text())
    assert not (home / "Documents" / "data_store.json").exists()


@pytest.mark.usefixtures("home")
def test_asyncio_starts_one_daemon(python):
    """AsyncClient starts a daemon too, however many tasks ask at once."""
    program = """
import asyncio
from kvclient import AsyncClient
async def main():
    async with AsyncClient(timeout=60) as store:
        await asyncio.gather(*(store.create(f"key{number}", number) for number in range(50)))
        print((await store.status())["keys"])
asyncio.run(main())
"""
    assert "50" == python(program)


@pytest.mark.parametrize(
    ("options", "variables"),
    [("", {"KVD_AUTOSTART": "0"}), ("", {"KVD_AUTOSTART": "No"}), ("autostart=False", {})],
    ids=["environment", "word", "argument"],
)
def test_autostart_can_be_turned_off(directory, python, options, variables):
    """Then the call ends in DaemonUnavailableError, and nothing was started."""
    told = python(REFUSED.format(options=options or "timeout=0.1"), **variables)

    assert told.startswith("No daemon listens on ipc://")
    assert not (directory / "Documents").exists()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        *((word, True) for word in ("1", "yes", "On", "TRUE", "")),
        *((word, False) for word in ("0", "no", "off", "False")),
    ],
)
def test_words_for_yes_and_no(monkeypatch, said, meant):
    """Those that are usual, in whatever case; an empty one is as good as none."""
    monkeypatch.setenv("KVD_AUTOSTART", said)

    assert meant == Target("work").autostart


def test_a_word_for_neither_is_refused(monkeypatch):
    """It could have been meant either way."""
    monkeypatch.setenv("KVD_AUTOSTART", "never")

    with pytest.raises(
        DataStoreError, match="KVD_AUTOSTART is one of 1, 0, yes, no, on, off, true, false, and not 'nev"
    ):
        Target("work")


def test_a_named_endpoint_is_not_started_on(directory, python):
    """Who names an endpoint runs its daemon."""
    told = python(REFUSED.format(options="timeout=0.1"), KVD_ENDPOINT=f"ipc://{directory}/mine.sock")

    assert told.startswith("No daemon listens on ipc://")
    assert "mine.sock" in told


def test_a_daemon_that_cannot_start_tells_why(directory, python):
    """The error of the call repeats what the daemon said, and the file stays as it was."""
    documents = directory / "Documents"
    documents.mkdir()
    (documents / "data_store.json").write_text("Dear diary, today I was no data file.")

    told = python(REFUSED.format(options="timeout=20"))

    assert told.startswith("No daemon runs and none could be started: kvd: ")
    assert "data_store.json" in told
    assert "Dear diary, today I was no data file." == (documents / "data_store.json").read_text()


def test_a_directory_that_cannot_be_made_is_told(directory, python):
    """Where no socket can be, the error is one of kvd's with the system's reason."""
    (directory / "run").mkdir(mode=0o700)
    (directory / "run" / "kvd").write_text("no directory")
    told = python(REFUSED.format(options="timeout=20"))

    assert told.startswith("No daemon runs and none could be started: ")
    assert "run/kvd" in told


@pytest.mark.usefixtures("home")
def test_a_daemon_that_ended_leaves_no_zombie(python):
    """A program that starts one daemon after the other reaps the former."""
    program = """
from pathlib import Path
from kvclient import Client
store = Client(timeout=60)
store.create("key0", 1)
first = Path("/proc") / str(store.status()["pid"])
store.stop()
while ") Z " not in (first / "stat").read_text():
    pass
store.create("key1", 1)
print("a zombie" if first.exists() else "reaped")
"""
    assert "reaped" == python(program)


@pytest.mark.parametrize(
    "program",
    [
        "from kvclient import Client; Client().stop()",
        "import asyncio; from kvclient import AsyncClient; asyncio.run(AsyncClient().stop())",
    ],
    ids=["Client", "AsyncClient"],
)
def test_none_is_started_to_be_stopped(home, python, program):
    """Where no daemon runs there is nothing to stop."""
    told = python(f"""
from kvclient import DaemonUnavailableError
try:
    {program}
except DaemonUnavailableError as error:
    print(error)
""")

    assert told.startswith("No daemon")
    assert [] == list(home.rglob("*.json"))


@pytest.mark.parametrize("before", [None, 0o666])
def test_the_daemons_messages_are_for_its_user_alone(home, python, before):
    """Whatever the umask was, also when the log was made."""
    log = home / ".local" / "state" / "kvd" / "log" / "data_store.log"
    if before is not None:
        log.parent.mkdir(parents=True)
        log.touch()
        log.chmod(before)
    python(f"import os\nos.umask(0)\n{CREATE}", "key1")

    assert 0o600 == log.stat().st_mode & 0o777
    assert 0o700 == log.parent.stat().st_mode & 0o777
    assert "serving " in log.read_text()


@pytest.mark.usefixtures("home")
def test_asyncio_starts_none_to_read_from_a_store_that_is_not_there(directory, python):
    """Nothing is created for a mistyped name; the message lists what there is."""
    python(CREATE, "key1")
    told = python("""
import asyncio
from kvclient import AsyncClient, DaemonUnavailableError
async def main():
    for call in ("read", "ping", "status", "compact"):
        async with AsyncClient(store="wrok") as store:
            try:
                await getattr(store, call)(*(["key1"] if call == "read" else []))
            except DaemonUnavailableError as error:
                print(str(error).count("There is no store 'wrok'"), str(error).count("Existing stores: data_store."))
asyncio.run(main())
""")

    assert ["1 1"] * 4 == told.splitlines()
    assert ["data_store.json"] == [path.name for path in (directory / "Documents").glob("*.json")]
