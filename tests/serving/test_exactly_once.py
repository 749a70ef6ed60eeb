"""What a client asked for happens once, however often the daemon dies before it answers."""

import itertools
import json
from pathlib import Path

import pytest
from killing import revision, work_through_kills

from kvclient import Client
from processes import wait_until

PROCESSES = 4


def create_until(endpoint: str, number: int, until: Path) -> list[str]:
    """Create key after key; return those that were created. Any error ends it, KeyExistsError above all."""
    created = []
    with Client(endpoint, timeout=60) as store:
        for turn in itertools.count():
            if until.exists():
                return created
            key = f"{number}.{turn}"
            store.create(key, {"by": number})
            created.append(key)
    raise AssertionError


@pytest.mark.timeout(600)
def test_create_succeeds_exactly_once_through_kills(start_daemon, long):
    """Each create succeeds once, with no KeyExistsError for its own key and no key missing, while SIGKILL after
    SIGKILL cuts off replies and compactions.
    """
    daemon = start_daemon()

    created = work_through_kills(daemon, create_until, processes=PROCESSES, kills=20 if long else 6)
    changes = revision(daemon)
    stopped = daemon.stop()

    keys = set(itertools.chain.from_iterable(created))
    assert 0 == stopped
    assert 0 == daemon.check().returncode
    assert keys == json.loads(daemon.file.read_bytes()).keys() - {""}
    assert len(keys) == changes


@pytest.mark.parametrize("compacted", [False, True])
def test_repetition_gets_the_first_answer_after_a_crash(start_daemon, compacted):
    """Requests that are repeated after SIGKILL, with or without a compaction before it, are answered as the first
    time and change nothing.
    """
    daemon = start_daemon()
    requests = [
        b'{"op":"create","key":"key1","value":1,"id":"creator:1"}',
        b'{"op":"batch_create","items":{"key2":2,"key3":3},"id":"batcher:1"}',
        b'{"op":"delete","key":"key2","id":"deleter:1"}',
    ]
    first = [daemon.ask(request) for request in requests]
    if compacted:
        inode = daemon.file.stat().st_ino
        daemon.ask(b'{"op":"compact"}')
        wait_until(lambda: daemon.file.stat().st_ino != inode)

    daemon.kill()
    daemon.start()
    again = [daemon.ask(request) for request in requests]

    assert first == again
    assert {"key1", "key3"} == {key for key, entry in json.loads(daemon.file.read_bytes()).items() if key and entry}
    assert len(requests) == revision(daemon)
