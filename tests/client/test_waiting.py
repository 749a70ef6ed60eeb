"""How a client waits for its reply: looking for it first, and asleep where that helps nobody."""

import threading

import pytest

from kvclient import Client
from kvclient.client import connection
from kvclient.client.connection import Connection


@pytest.fixture
def looks(monkeypatch):
    """Whether the reply was there, each time that it was looked for; in a process of one thread."""
    seen = []
    spin = Connection._spin

    def noted(self, now):
        seen.append(spin(self, now))
        return seen[-1]

    monkeypatch.setattr(Connection, "_spin", noted)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(connection, "_SEVERAL_CORES", True)
    monkeypatch.setattr(connection, "_SLOW_SECONDS", 300)  # no reply is, however busy the machine
    return seen


@pytest.fixture
def client(shared_daemon, looks):
    """A client that is connected already."""
    with Client(shared_daemon.endpoint) as client:
        client.ping()
        looks.clear()
        yield client


def test_a_reply_is_looked_for_before_the_process_sleeps(client, looks, monkeypatch):
    """One that comes in time is taken, and one that does not is waited for."""
    monkeypatch.setattr(connection, "_SPIN_SECONDS", 30)
    client.ping()
    assert [True] == looks

    monkeypatch.setattr(connection, "_SPIN_SECONDS", -1)
    client.ping()
    assert len(looks) == 2


@pytest.mark.parametrize(("name", "value"), [("threads", 2), ("cores", False)])
def test_it_is_not_where_others_would_wait_for_that(client, looks, monkeypatch, name, value):
    """Another thread needs the interpreter lock, and a daemon on the same core needs the core."""
    if name == "threads":
        monkeypatch.setattr(threading, "active_count", lambda: value)
    else:
        monkeypatch.setattr(connection, "_SEVERAL_CORES", value)
    client.ping()

    assert [] == looks


def test_a_reply_that_may_be_held_back_is_waited_for_asleep(client, looks, monkeypatch, key):
    """As that to a watch is: it may come in a minute. It is a slow one, and so is the next not looked for either."""
    monkeypatch.setattr(connection, "_SLOW_SECONDS", 0.002)
    with client.watch(key) as events:
        looks.clear()
        assert events.within(0.05) is None

    assert [] == looks


def test_it_is_not_where_replies_are_slow(client, looks, monkeypatch):
    """Not before 16 have come in time."""
    monkeypatch.setattr(connection, "_SPIN_SECONDS", -1)
    monkeypatch.setattr(connection, "_SLOW_SECONDS", -1)
    for _ in range(20):
        client.ping()
    assert len(looks) == 1

    monkeypatch.setattr(connection, "_SLOW_SECONDS", 300)
    for _ in range(16):
        client.ping()
    assert len(looks) == 1

    client.ping()
    assert len(looks) == 2
