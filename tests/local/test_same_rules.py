"""What is refused and what is carried out is the same with a daemon and without one."""

import os
import signal
from collections import Counter

import pytest

from kvclient import Client, DataStoreError, StoreFullError
from kvd import LocalDataStore


@pytest.fixture(params=["daemon", "local"])
def opened(request, directory, start_daemon):
    """Open the file at `directory` with some settings, served by a daemon or in this process."""
    stores = []

    def opened(**settings):
        if request.param == "daemon":
            daemon = start_daemon(**{name: str(value) for name, value in settings.items()})
            store = Client(daemon.endpoint, timeout=60)
        else:
            store = LocalDataStore(directory / "store.json", **settings)
        stores.append(store)
        return store

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def large(directory):
    """A file of 400 keys, larger than the limit that it is opened with next."""
    with LocalDataStore(directory / "store.json", sync="never") as store:
        store.batch_create({f"key{number}": "x" * 2000 for number in range(400)})


@pytest.mark.usefixtures("large")
def test_a_file_above_its_limit_can_be_emptied(opened, directory):
    """After the limit was lowered nothing is added to it, and everything can be deleted."""
    store = opened(max_file_bytes=400_000)

    with pytest.raises(StoreFullError):
        store.create("new", 1)
    for number in range(400):
        store.delete(f"key{number}")
    store.create("new", 1)
    assert ["new"] == list(store.list())
    assert 1 == store.read("new")
    assert os.path.getsize(directory / "store.json") <= 400_000


def test_deletes_go_on_where_nothing_else_fits(opened):
    """Each of them, whatever is refused before and after it."""
    store = opened(max_file_bytes=40_000)
    store.batch_create({f"key{number}": "x" * 500 for number in range(60)})

    for number in range(59):
        with pytest.raises(StoreFullError):
            store.create("large", "x" * 39_000)
        store.delete(f"key{number}")
    assert 1 == store.count()


def test_a_signal_handler_in_the_midst_of_a_call_is_refused(directory):
    """It would wait for ever for the call that it interrupted. Between calls it works."""
    said = Counter()
    with LocalDataStore(directory / "store.json") as store:

        def handle(_number, _frame):
            try:
                store.put("handled", 1)
                said["done"] += 1
            except DataStoreError as error:
                said[str(error)[:48]] += 1

        before = signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            while said["This thread is in the midst of another call of t"] < 3:
                store.put("key", 1)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        store.put("handled", 2)
        assert 2 == store.read("handled")
