"""The frameworks' own tests, where their sources are at hand.

Wheels do not have them, and they are not ours to copy. So `ADAPTERS_UPSTREAM` names a directory in which they are
unpacked: an sdist of Django, one of cachelib, a checkout of py-key-value. docs/testing.md tells how to get them.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kvclient import Client

UPSTREAM = "ADAPTERS_UPSTREAM"
SUITES = Path(__file__).parent / "upstream"
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:kvd", "-p", "kvclient.adapters.pytest"]


def source(pattern):
    """Return the directory below $ADAPTERS_UPSTREAM in which a framework's tests are."""
    if UPSTREAM not in os.environ:
        pytest.skip(f"the sources of the frameworks are not there: {UPSTREAM} is not set")
    found = sorted(Path(os.environ[UPSTREAM]).glob(pattern))
    if not found:
        pytest.skip(f"there is no {pattern} in {UPSTREAM}")
    return found[-1]


def needs(*modules):
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


def run(*arguments, cwd):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False, timeout=280
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_of_django(daemon, tmp_path):
    """BaseCacheTests, and those of the middleware. Three are skipped, which are about culling: kvd culls nothing."""
    tests = source("django-*/tests/cache")
    needs("django")

    assert "0 failed, 3 skipped" in run(SUITES / "django_suite.py", tests.parents[1], daemon.endpoint, cwd=tmp_path)
    with Client(daemon.endpoint) as store:
        assert ["django:cacheprefix"] == [key[:18] for key in store.list()]  # theirs, of another KEY_PREFIX: left alone


def test_of_cachelib(tmp_path):
    """CommonTests, ClearTests, HasTests and DeleteManyWithPrefixTests."""
    tests = source("cachelib-*/tests")
    needs("cachelib")
    for name in ("common", "clear", "has", "delete_many_with_prefix", "conftest"):
        shutil.copy(tests / f"{name}.py", tmp_path)
    (tmp_path / "xprocess.py").write_text("ProcessStarter = None  # which starts the daemons of other caches\n")
    shutil.copy(SUITES / "cachelib_suite.py", tmp_path / "test_kvd.py")

    assert " passed" in run(*PYTEST, "test_kvd.py", cwd=tmp_path)


def test_of_py_key_value(tmp_path):
    """BaseStoreTests, within and without a context manager, all but that stores are to be bounded."""
    tests = source("py*key*value*/tests/stores/base.py").parents[1]
    needs("key_value", "pytest_asyncio", "dirty_equals")
    shutil.copytree(tests, tmp_path / "tests")
    shutil.copy(SUITES / "key_value_suite.py", tmp_path / "tests" / "stores" / "test_kvd.py")
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")

    told = run(*PYTEST, "tests/stores/test_kvd.py", cwd=tmp_path)
    assert " passed, 2 skipped" in told
