"""kvctl import --from: stores of other libraries, and that nothing in them is executed."""

import dbm
import dbm.dumb
import decimal
import os
import pickle
import shelve
import time

import diskcache
import pytest

from kvclient import Client
from processes import kvctl


@pytest.fixture
def store(daemon):
    with Client(daemon.endpoint) as store:
        yield store


@pytest.fixture
def run(store, directory):
    def run(kind, path, *options):
        done = kvctl("import", "--from", kind, str(path), *options, "--endpoint", store.endpoint, directory=directory)
        assert "Traceback" not in done.stderr
        return done

    return run


def content(store):
    return {entry.key: entry.value for entry in store.entries()}


VALUES = {"ü": {"a": [1, 2.5, None, True]}, "text": "😀", "large": 10**30}


class Evil:
    """A pickle that makes a file where it is read by Python."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_shelve(run, store, directory, protocol):
    """What JSON has is taken as it is."""
    with shelve.open(str(directory / "shelf"), protocol=protocol) as shelf:
        shelf.update(VALUES)

    done = run("shelve", directory / "shelf")

    assert (0, f"imported 3 keys from {directory}/shelf\n") == (done.returncode, done.stderr)
    assert VALUES == content(store)


def test_dbm(run, store, directory):
    """Values are JSON; the path may be with or without what the library appended."""
    with dbm.open(str(directory / "file"), "c") as file:
        file["ü"] = '{"a": 1}'
        file["b"] = "2"

    name = next(path for path in sorted(directory.iterdir()) if path.suffix != ".bak")
    assert 0 == run("dbm", name).returncode
    assert {"ü": {"a": 1}, "b": 2} == content(store)
    assert 0 == run("dbm", directory / "file", "--on-conflict", "replace").returncode


def test_dumb_dbm(run, store, directory):
    """The one that is written in Python."""
    with dbm.dumb.open(str(directory / "file"), "c") as file:
        file["a"] = "1"

    assert 0 == run("dbm", directory / "file").returncode
    assert {"a": 1} == content(store)


def test_diskcache(run, store, directory):
    """Raw values, pickles, texts in files, and when they expire."""
    with diskcache.Cache(str(directory / "cache"), disk_min_file_size=1000) as cache:
        for key, value in VALUES.items():
            cache.set(key, value)
        cache.set("expiring", 1, expire=500)
        cache.set("long text", "x" * 2000)
        cache.set("long list", list(range(1000)))

    done = run("diskcache", directory / "cache")

    assert (0, f"imported 6 keys from {directory}/cache\n") == (done.returncode, done.stderr)
    assert VALUES | {"expiring": 1, "long text": "x" * 2000, "long list": list(range(1000))} == content(store)
    assert time.time() + 500 == pytest.approx(store.entry("expiring").expires_at, abs=60)


def bad_shelf(directory):
    with shelve.open(str(directory / "bad")) as shelf:
        shelf["good"] = 1
        shelf["class"] = decimal.Decimal(1)
        shelf["evil"] = Evil(directory / "evil")
        shelf["bytes"] = b"x"
    return {"class": "decimal.Decimal", "evil": "posix.mkdir", "bytes": "bytes"}


def bad_dbm(directory):
    with dbm.open(str(directory / "bad"), "c") as file:
        file["good"] = "1"
        file["word"] = "oops"
        file["bytes"] = b"\xff"
    return {"word": "'oops'", "bytes": "not UTF-8"}


def bad_cache(directory):
    with diskcache.Cache(str(directory / "bad")) as cache:
        cache["good"] = 1
        cache["evil"] = Evil(directory / "evil")
        cache[7] = "a number for a key"
        cache[("a", 1)] = "a tuple"
        cache[decimal.Decimal(1)] = "a class"
        cache["bytes"] = b"x"
    return {
        "evil": "posix.mkdir",
        "7": "not int",
        "tuple": "not tuple",
        "A key in": "decimal.Decimal",
        "bytes": "bytes",
    }


@pytest.mark.parametrize(
    ("kind", "make"),
    [("shelve", bad_shelf), ("dbm", bad_dbm), ("diskcache", bad_cache)],
    ids=["shelve", "dbm", "cache"],
)
def test_each_value_that_is_no_json_is_named_and_nothing_executed(run, store, directory, kind, make):
    """Nothing is written then; --skip-invalid takes the rest."""
    reasons = make(directory)

    refused = run(kind, directory / "bad")
    assert (2, 0) == (refused.returncode, store.count())
    lines = refused.stderr.splitlines()
    assert len(reasons) + 1 == len(lines)
    for name, reason in reasons.items():
        assert 1 == sum(name in line and reason in line for line in lines), (name, lines)
    assert f"{len(reasons)} keys of {directory}/bad cannot be stored. Nothing was written" in lines[-1]

    taken = run(kind, directory / "bad", "--skip-invalid")
    assert (0, {"good": 1}) == (taken.returncode, content(store))
    assert f"imported 1 key from {directory}/bad" == taken.stderr.splitlines()[-1]
    assert not (directory / "evil").exists()


@pytest.mark.parametrize("kind", ["shelve", "dbm", "diskcache"])
def test_what_is_not_there_or_something_else(run, directory, kind):
    """Says so, with the path."""
    (directory / "text").write_text("something else entirely")

    for name in ("none", "text"):
        done = run(kind, directory / name)
        assert 1 == done.returncode
        assert 1 == done.stderr.count("\n")
        assert f"{directory}/{name}" in done.stderr
