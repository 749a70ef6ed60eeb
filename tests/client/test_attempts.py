"""When a client asks again and when it gives up, where the daemon may hold back its answer. The clock is ours."""

import socket

import pytest

from kvclient import RequestTimeoutError
from kvclient.client import attempts as module
from kvclient.client.attempts import Exchange, attempts
from kvclient.contract.endpoint import Target


@pytest.fixture
def target(directory):
    """A daemon that listens."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{directory}/x.sock")
        listening.listen(100)
        yield Target(endpoint=f"ipc://{directory}/x.sock")


@pytest.fixture
def passing(monkeypatch):
    """Time passes when a test says so."""

    class Time:
        now = 100.0

        def monotonic(self):
            return self.now

    passing = Time()
    monkeypatch.setattr(module, "time", passing)
    return passing


def exchanges(steps, passing):
    """Yield the exchanges, each of which a test lets last as long as it likes; pauses last what they say."""
    for step in steps:
        if isinstance(step, Exchange):
            yield step.seconds
        else:
            passing.now += step.seconds


def spend(asked, passing, seconds):
    """Let every exchange last so long, or as long as it may."""
    for patience in asked:
        passing.now += patience if seconds is None else seconds


def test_a_watch_that_waits_is_not_sent_again(target, passing):
    """Its first exchange lasts as long as the daemon may wait, and a little longer."""
    asked = exchanges(attempts(target, passing.now, 5, changes=False, answered=False, wait=30), passing)

    assert 30.25 == next(asked)


def test_a_daemon_that_hangs_is_given_up_after_both_times(target, passing):
    """The one that it may wait and the one that the caller does."""
    started = passing.now
    asked = exchanges(attempts(target, started, 5, changes=False, answered=False, wait=30), passing)
    with pytest.raises(RequestTimeoutError, match="within 35 s"):
        spend(asked, passing, None)

    assert started + 35 == pytest.approx(passing.now)


def test_a_daemon_that_was_restarted_gets_its_whole_time_again(target, passing):
    """However late the line was lost."""
    asked = exchanges(attempts(target, passing.now, 5, changes=False, answered=False, wait=30), passing)
    for _ in range(5):
        assert 30 < next(asked)
        passing.now += 29


def test_what_accepts_and_hangs_up_is_given_up(target, passing):
    """It is not asked forever."""
    started = passing.now
    asked = exchanges(attempts(target, started, 5, changes=False, answered=False, wait=30), passing)
    with pytest.raises(RequestTimeoutError):
        spend(asked, passing, 0.01)

    assert passing.now < started + 36
