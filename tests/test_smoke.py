"""The main job, in a few lines, through a real daemon and in-process."""

import pytest

from kvclient import Client, KeyExistsError, KeyNotFoundError
from kvd import LocalDataStore


@pytest.fixture(params=["client", "local"])
def store(request, directory):
    if request.param == "client":
        daemon = request.getfixturevalue("daemon")
        with Client(daemon.endpoint) as store:
            yield store
    else:
        with LocalDataStore(directory / "local.json") as store:
            yield store


def test_create_read_delete(store):
    """What was created is read back, exists once, and is gone after its deletion."""
    store.create("key1", {"name": "value1"}, ttl=5)

    assert store.read("key1") == {"name": "value1"}
    with pytest.raises(KeyExistsError):
        store.create("key1", 2)
    store.delete("key1")
    with pytest.raises(KeyNotFoundError):
        store.read("key1")


def test_batch_is_all_or_nothing(store):
    """A batch with a key that exists writes nothing and names that key."""
    store.create("key2", 0)

    with pytest.raises(KeyExistsError) as caught:
        store.batch_create({"key1": 1, "key2": 2, "key3": 3})

    assert caught.value.keys == ("key2",)
    with pytest.raises(KeyNotFoundError):
        store.read("key1")
