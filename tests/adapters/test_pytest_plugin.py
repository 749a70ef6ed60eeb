"""The plugin for pytest, in runs of pytest of their own, as somebody else's project would have it."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from processes import environment, runs, wait_until

# Where kvd is installed with this plugin, pytest finds it by itself; from a bare source tree it has to be named.
PLUGIN = ["-p", "kvclient.adapters.pytest"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def command(directory):
    """What runs pytest on a file of tests, in a project that lets no warning pass."""

    def command(tests, *options):
        (directory / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\naddopts = --strict-config\n")
        (directory / "test_it.py").write_text(tests)
        return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:kvd", *PLUGIN, *options]

    return command


@pytest.fixture
def surroundings(directory):
    """The environment of somebody who has stores, and settings that would break a daemon."""
    (directory / ".config" / "kvd").mkdir(parents=True)
    (directory / ".config" / "kvd" / "config.toml").write_text("nonsense = 1\n")
    return {
        **environment(directory, TMPDIR=str(directory)),
        "KVD_STORE": "mine",
        "KVD_FILE": str(directory / "mine.json"),
        "KVD_MAX_BATCH": "nonsense",
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def run(command, directory, surroundings):
    """Run pytest on a file of tests and return what it printed."""

    def run(tests, *options, code=0, **more):
        done = subprocess.run(
            command(tests, *options),
            cwd=directory,
            env=surroundings | more,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert code == done.returncode, done.stdout + done.stderr
        return done.stdout

    return run


def left(directory):
    """What a run has left in a directory for temporary files."""
    return sorted(path.name for path in directory.glob("kvd-*"))


def test_each_test_has_an_empty_store(run):
    """Of the same daemon."""
    tests = """
import pytest
seen = set()

@pytest.mark.parametrize("number", range(3))
def test_it(kvd_store, number):
    assert kvd_store.count() == 0
    kvd_store.create("key", number)
    seen.add((kvd_store.endpoint, kvd_store.status()["pid"]))

def test_daemons(kvd_store, kvd_endpoint):
    ((endpoint, _),) = seen
    assert endpoint == kvd_endpoint
    assert kvd_store.count() == 0
"""
    assert "4 passed" in run(tests)


def test_the_users_stores_are_left_alone(run, directory):
    """A client that names none gets the one for tests, and the environment is as it was behind the test."""
    tests = """
import asyncio
import os
from kvclient import AsyncClient, Client

def test_clients(kvd_store):
    with Client() as store:
        store.create("a", 1)
    assert kvd_store.read("a") == 1

    async def use():
        async with AsyncClient() as store:
            return await store.read("a")

    assert asyncio.run(use()) == 1

def test_environment():
    assert os.environ["KVD_STORE"] == "mine"
    assert "KVD_ENDPOINT" not in os.environ
"""
    assert "2 passed" in run(tests)
    assert not (directory / "mine.json").exists()
    assert not (directory / "Documents").exists()


def test_nothing_is_left(run, directory):
    """Neither files nor the daemon, also where a test failed."""
    tests = """
from pathlib import Path

def test_it(kvd_store):
    Path("pid").write_text(str(kvd_store.status()["pid"]))
    assert False
"""
    run(tests, code=1)

    assert [] == left(directory)
    assert not runs(int((directory / "pid").read_text()))


def test_the_daemon_ends_with_a_run_that_is_killed(command, directory, surroundings):
    """By the kernel, as nobody else is left to do it."""
    tests = """
from pathlib import Path
import signal

def test_it(kvd_store):
    Path("pid.new").write_text(str(kvd_store.status()["pid"]))
    Path("pid.new").rename("pid")
    signal.pause()
"""
    with subprocess.Popen(command(tests), cwd=directory, env=surroundings, stdout=subprocess.DEVNULL) as run:
        wait_until((directory / "pid").exists)
        run.kill()
    daemon = int((directory / "pid").read_text())

    wait_until(lambda: not runs(daemon))


def test_ctrl_c(command, directory, surroundings):
    """It ends the tests, and then the daemon; fixtures of tests can use the store to the end."""
    tests = """
from pathlib import Path
import signal
import pytest

@pytest.fixture
def late(kvd_store):
    yield
    Path("late").write_text(str(kvd_store.increment("a")))

def test_it(late):
    Path("ready").touch()
    signal.pause()
"""
    with subprocess.Popen(
        command(tests), cwd=directory, env=surroundings, stdout=subprocess.DEVNULL, start_new_session=True
    ) as run:
        wait_until((directory / "ready").exists)
        os.killpg(run.pid, signal.SIGINT)
        run.wait(60)

    assert "1" == (directory / "late").read_text()
    assert [] == left(directory)


@pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
def test_workers_have_a_daemon_each(run, directory):
    """With pytest-xdist: they cannot empty each other's store."""
    tests = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(8))
def test_it(kvd_store, worker_id, number):
    Path(f"{worker_id}.{kvd_store.status()['pid']}").touch()
    assert kvd_store.count() == 0
    for _ in range(20):
        kvd_store.increment("n")
    assert kvd_store.read("n") == 20
"""
    assert "8 passed" in run(tests, "-n", "2")
    workers = [path.name.split(".") for path in directory.glob("gw*.*")]
    assert ["gw0", "gw1"] == sorted(worker for worker, _ in workers)
    assert 2 == len({pid for _, pid in workers})


def test_who_does_not_use_it_does_not_pay(run):
    """No daemon is started, and nothing is imported but errors and records."""
    tests = """
import sys

def test_it(tmp_path):
    ours = {name for name in sys.modules if name.partition(".")[0] in ("kvclient", "kvd")}
    assert ours == {
        "kvclient", "kvclient.contract", "kvclient.contract.errors", "kvclient.contract.records",
        "kvclient.adapters", "kvclient.adapters.pytest",
    }
"""
    assert "1 passed" in run(tests)


def test_long_directory_for_temporary_files(run, directory):
    """A socket's path would be too long in it, so another one is taken."""
    deep = directory / ("x" * 90)
    deep.mkdir()

    assert "1 passed" in run("def test_it(kvd_store):\n    kvd_store.create('a', 1)\n", TMPDIR=str(deep))
    assert [] == list(deep.glob("kvd-*"))


def test_a_daemon_that_cannot_start(run):
    """The tests fail, with what it said."""
    told = run("import os\nos.environ['PYTHONINTMAXSTRDIGITS'] = 'x'\n\ndef test_it(kvd_store):\n    pass\n", code=1)

    assert "No daemon for the tests could be started. It said:" in told
    assert "PYTHONINTMAXSTRDIGITS" in told


def test_pytest_finds_it():
    """By its entry point, where this version of kvd is installed."""
    from importlib.metadata import distribution

    named = {each.name: each.value for each in distribution("kvd-store").entry_points if each.group == "pytest11"}
    assert {"kvd": "kvclient.adapters.pytest"} == named
