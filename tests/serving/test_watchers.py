"""A thousand watchers that wait cost the others nothing, and leave nothing behind."""

import json
import multiprocessing
import os
import signal
import threading

import pytest
import zmq
from footprint import Footprint

from kvclient import Client
from processes import wait_until
from wire_line import WireLine

PROCESSES, EACH = 4, 250
MOST_GROWTH = 16 << 20
"""Bytes of memory that an allocator may keep of what passed through."""


def stats(daemon):
    return json.loads(daemon.ask(b'{"op":"stats"}'))["stats"]


def watching(daemon, count):
    wait_until(lambda: stats(daemon)["watchers"] == count)
    return True


def park(endpoint, number, count, ready, told):
    """Park watches, each for another prefix, and one for all of them; tell how many were answered when one is."""
    lines = [WireLine(endpoint) for _ in range(count)]
    for place, line in enumerate(lines):
        prefix = "all:" if place == 0 else f"key{number}.{place}:"
        line.send({"op": "watch", "prefix": prefix, "wait": 3600})
    ready.release()
    told.put((number, json.loads(lines[0].receive())["events"][0]["key"]))
    signal.pause()


@pytest.fixture
def crowd(start_daemon):
    """Give a daemon with a thousand parked watches, its footprint before they came, and what they are told."""
    daemon = start_daemon()
    daemon.ask(b'{"op":"put","key":"warm","value":1}')
    daemon.ask(b'{"op":"watch"}')
    footprint = Footprint(daemon)
    before = footprint.descriptors(), footprint.threads(), footprint.memory()
    spawn = multiprocessing.get_context("spawn")
    ready, told = spawn.Semaphore(0), spawn.Queue()
    processes = [
        spawn.Process(target=park, args=(daemon.endpoint, number, EACH, ready, told)) for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    try:
        for _ in processes:
            assert ready.acquire(timeout=60)
        assert watching(daemon, PROCESSES * EACH)
        yield daemon, footprint, before, processes, told
    finally:
        for process in processes:
            process.kill()
            process.join()
        told.close()


def test_others_go_on_and_nothing_is_left(crowd):
    """Clients read and write; a change answers those whose prefix it has; and when the watchers are killed, their
    descriptors and their memory are the daemon's again.
    """
    daemon, footprint, (descriptors, threads, memory), processes, told = crowd
    with WireLine(daemon.endpoint) as line:
        for number in range(200):
            assert line.ask({"op": "put", "key": f"other{number}", "value": number})["ok"]
            assert number == line.ask({"op": "read", "key": f"other{number}"})["value"]
        assert watching(daemon, PROCESSES * EACH)

        assert line.ask({"op": "put", "key": "all:1", "value": 1})["ok"]
        heard = [told.get(timeout=60) for _ in processes]
    assert [(number, "all:1") for number in range(PROCESSES)] == sorted(heard)
    assert watching(daemon, PROCESSES * (EACH - 1))

    for process in processes:
        process.kill()

    assert watching(daemon, 0)
    footprint.wait_until_back_at((descriptors, threads))
    wait_until(lambda: footprint.memory() < memory + MOST_GROWTH)


def test_a_stopping_daemon_answers_all_that_wait(crowd):
    """It ends cleanly, and at once."""
    daemon = crowd[0]

    assert 0 == daemon.stop()
    assert "Traceback" not in daemon.log.read_text()


def test_a_peer_that_vanishes_is_noticed_while_it_waits(daemon):
    """Nothing is sent to it for that, and nothing has to change."""
    before = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
    line = WireLine(daemon.endpoint)
    line.send({"op": "watch", "wait": 3600})
    assert watching(daemon, 1)

    line.close()

    assert watching(daemon, 0)
    wait_until(lambda: len(os.listdir(f"/proc/{daemon.process.pid}/fd")) <= before)


def test_a_plain_req_socket_can_watch(daemon):
    """With pyzmq and JSON: the reply comes with the change, and the next request goes on behind it."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, 30_000)
        socket.connect(daemon.endpoint)
        socket.send(b'{"op":"watch","prefix":"job:","wait":60}')
        assert watching(daemon, 1)
        daemon.ask(b'{"op":"put","key":"other","value":0}')
        daemon.ask(b'{"op":"put","key":"job:1","value":1}')
        first = json.loads(socket.recv())
        daemon.ask(b'{"op":"delete","key":"job:1"}')
        socket.send(b'{"op":"watch","prefix":"job:","wait":60,"after":%d}' % first["revision"])
        second = json.loads(socket.recv())

    assert [("created", "job:1", 1)] == [(event["kind"], event["key"], event["value"]) for event in first["events"]]
    assert [("deleted", "job:1", 1)] == [(event["kind"], event["key"], event["previous"]) for event in second["events"]]


def test_more_watchers_than_allowed_are_refused(start_daemon):
    """The error names the setting; those that wait go on, and when one has gone the next may come."""
    daemon = start_daemon(max_watchers="3")
    lines = [WireLine(daemon.endpoint) for _ in range(4)]
    try:
        for line in lines[:3]:
            line.send({"op": "watch", "wait": 60})
        assert watching(daemon, 3)
        reply = lines[3].ask({"op": "watch", "wait": 60})
        assert "TooManyWatchersError" == reply["error"]
        assert "max_watchers" in reply["message"]
        assert watching(daemon, 3)

        lines[0].close()
        assert watching(daemon, 2)
        lines[3].send({"op": "watch", "wait": 60})
        assert watching(daemon, 3)
        daemon.ask(b'{"op":"put","key":"a","value":1}')
        for line in lines[1:]:
            assert ["a"] == [event["key"] for event in json.loads(line.receive())["events"]]
    finally:
        for line in lines:
            line.close()


def test_clients_resume_behind_a_restart(start_daemon):
    """Fifty iterators that wait while the daemon is killed get what changes afterwards, and all of it."""
    daemon = start_daemon()
    heard = []

    def listen():
        with Client(daemon.endpoint, timeout=60) as store, store.watch("job:") as events:
            ready.release()
            heard.append([next(events).value for _ in range(3)])

    ready = threading.Semaphore(0)
    threads = [threading.Thread(target=listen) for _ in range(50)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert ready.acquire(timeout=60)
    daemon.ask(b'{"op":"put","key":"job:1","value":1}')
    daemon.kill()
    daemon.start()
    daemon.ask(b'{"op":"put","key":"job:2","value":2}')
    daemon.kill()
    daemon.start()
    daemon.ask(b'{"op":"put","key":"job:3","value":3}')
    for thread in threads:
        thread.join(timeout=60)

    assert [[1, 2, 3]] * len(threads) == heard
