"""Fixtures for all tests."""

import itertools
import os
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import BoundedSemaphore

import pytest
from hypothesis import HealthCheck, settings

from clock import Clock
from kvd.backend.file.engine.inotify import Inotify
from processes import Daemon


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run tests of load, chance and crashes in their long form")
    parser.addoption(
        "--transport", choices=("native", "libzmq"), default="native", help="what daemons of tests serve with"
    )


def pytest_configure(config):
    """Choose how many examples hypothesis tries. It reads this when a test is imported.

    And have Ctrl-C and a hang-up end what tests start, also where pytest runs in the background or under nohup, which
    ignores them, and all that it starts after it.
    """
    # Tests start hundreds of processes, each of which would compile all that it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.pop("KVD_TRANSPORT", None)
    if config.getoption("--transport") != "native":
        os.environ["KVD_TRANSPORT"] = config.getoption("--transport")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    settings.register_profile(
        "kvd",
        max_examples=10_000 if config.getoption("--long") else 300,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    settings.load_profile("kvd")


def pytest_runtest_setup(item):
    if item.config.getoption("--transport") == "libzmq" and (marker := item.get_closest_marker("native")) is not None:
        pytest.skip(marker.args[0])


def pytest_make_parametrize_id(val):
    """Cut a test's name, which pytest puts into the environment: with one of 128 KiB no process can be started."""
    return ascii(val[:40]) if isinstance(val, str | bytes) and len(val) > 1000 else None


@pytest.fixture(scope="session")
def long(pytestconfig):
    """Whether tests that show more the longer they run shall take their time."""
    return pytestconfig.getoption("--long")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def directory():
    """A directory with a short path: a Unix socket's may have 107 bytes only."""
    with tempfile.TemporaryDirectory(prefix="kvd-") as path:
        yield Path(path)


@pytest.fixture
def memory(tmp_path):
    """A directory where a sync takes no time, for tests that need thousands."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared, prefix="kvd-") as path:
        yield Path(path)


@pytest.fixture
def many_openings(monkeypatch):
    """For tests that open thousands of stores: the kernel takes 8 ms to close an inotify descriptor, which is most of
    the time of opening and closing one. Closed on threads, they are waited for together.
    """
    with ThreadPoolExecutor(16) as closing:
        few = BoundedSemaphore(64)  # a user may have 128

        def close(inotify):
            few.acquire()
            closing.submit(os.close, inotify._fd).add_done_callback(lambda _: few.release())

        monkeypatch.setattr(Inotify, "close", close)
        yield


@pytest.fixture
def start_daemon(directory):
    """Start daemons that end with the test."""
    daemons = []

    def start(*options, at=directory, **settings):
        daemons.append(Daemon(at, *options, **settings))
        return daemons[-1].start()

    yield start
    for daemon in daemons:
        daemon.kill()


@pytest.fixture
def daemon(start_daemon):
    """A daemon that runs."""
    return start_daemon()


@pytest.fixture(scope="session")
def shared_daemon():
    """A daemon for tests that leave it as it is; each uses keys of its own."""
    with tempfile.TemporaryDirectory(prefix="kvd-") as path:
        daemon = Daemon(Path(path)).start()
        yield daemon
        daemon.kill()


_numbers = itertools.count(1)


@pytest.fixture
def key():
    """A key that no other test uses, and that no other such key begins with."""
    return f"unique{next(_numbers):06}"
