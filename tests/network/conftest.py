"""A daemon that serves a network, and clients whose keys it knows or does not."""

import json
import socket

import pytest

from kvclient import AsyncClient, Client
from kvclient.contract import keys

TABLES = [
    {"key": "all", "read": [""], "write": [""]},
    {"key": "some", "read": ["mine:"], "write": ["mine:"]},
]


@pytest.fixture
def home(directory, monkeypatch):
    """The home of everybody here: of the daemon, and of the clients in this process."""
    for name in ("KVD_SERVER_KEY", "KVD_KEY", "KVD_ENDPOINT", "KVD_STORE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(directory))
    return directory


@pytest.fixture
def network(home, start_daemon):
    """A daemon that lets in the keys `all`, `some` and `none`, of which the last has no table. There is `stranger`."""
    for name in ("all", "some", "none"):
        keys.allow(name, keys.new(name).public)
    keys.new("stranger")
    daemon = start_daemon(at=home, network=f"tcp://127.0.0.1:{free_port()}", access=json.dumps(TABLES))
    daemon.address = daemon.variables["KVD_NETWORK"]
    return daemon


@pytest.fixture(params=[Client, AsyncClient])
def client(request, blocking):
    """Return clients of both kinds, by the name of their key, to be called alike."""
    return blocking(request.param)


@pytest.fixture
def blocking():
    """Make clients of a kind to be called as `Client` is."""
    import asyncio

    runner = asyncio.Runner()
    made = []

    def of(kind):
        def connect(daemon, key="all", server_key=None, **options):
            server_key = server_key or keys.server().public.decode()
            store = kind(daemon.address, server_key=server_key, key=key, **{"timeout": 20, **options})
            made.append(store)
            return store if kind is Client else _Awaited(runner, store)

        return connect

    yield of
    for store in made:
        closing = store.close()
        if closing is not None:
            runner.run(closing)
    runner.close()


class _Awaited:
    """An `AsyncClient`, each call of which is awaited."""

    def __init__(self, runner, store):
        self._runner, self._store = runner, store

    def __getattr__(self, name):
        method = getattr(self._store, name)

        async def call(*arguments, **options):
            return await method(*arguments, **options)

        return lambda *arguments, **options: self._runner.run(call(*arguments, **options))


def free_port():
    """Return a TCP port of the loopback address that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
