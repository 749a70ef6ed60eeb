"""Locks, semaphores and queues while processes are killed and stopped at random, and the daemon killed and restarted.

What the processes wrote down is checked: never two holders, or beyond n; never a lost job, none done twice unless its
worker died. With --long for a minute each. The same check finds locks and queues that are broken on purpose.
"""

import time

import pytest
from coordination import faults_of_holds, faults_of_jobs
from recorded import PLACES, record

LOCKS = {"lock": 4, "lock task": 2}
SEMAPHORES = {"semaphore": 6, "semaphore task": 2}
QUEUES = {"puts": 2, "takes": 4}
TROUBLES = {"kill", "stop", "kill the daemon"}

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def enough(long):
    """Tell whether all kinds of trouble were had, and one was killed that had something; with --long for a minute."""
    ends = time.monotonic() + 60 if long else 0.0

    def enough(recording):
        return time.monotonic() >= ends and recording.done.keys() >= TROUBLES and died_with(recording)

    return enough


def died_with(recording):
    """Return what processes had when they were killed."""
    return [hold for hold in recording.holds if hold.ended is None and hold.pid in recording.killed]


def show(recording):
    print(f"{len(recording.holds)} holds, {len(died_with(recording))} ended by a kill; {dict(recording.done)}")


def faults(recording):
    """Return what is wrong with a queue."""
    return faults_of_jobs(recording.holds, recording.killed, promised=recording.promised, perhaps=recording.perhaps)


def test_never_two_hold_a_lock(start_daemon, enough):
    """And each has a higher fencing number than the one before."""
    recording = record(start_daemon(), LOCKS, enough)
    show(recording)

    assert [] == faults_of_holds(recording.holds, recording.killed)


def test_never_more_than_n_hold_a_semaphore(start_daemon, enough):
    """And as many as may do hold it at a time."""
    recording = record(start_daemon(), SEMAPHORES, enough)
    show(recording)

    assert [] == faults_of_holds(recording.holds, recording.killed, most=PLACES)
    assert faults_of_holds(recording.holds, recording.killed, most=PLACES - 1)


def test_no_job_is_lost_and_none_is_done_twice(start_daemon, enough):
    """All that were put are done in the end, and one is taken again only if its worker died."""
    recording = record(start_daemon(), QUEUES, enough)
    show(recording)

    assert [] == faults(recording)
    assert recording.promised


@pytest.mark.parametrize(("role", "most"), [("lock", 1), ("semaphore", PLACES)])
def test_a_lock_by_lease_is_caught(start_daemon, role, most):
    """Who is stopped comes to be in there with somebody else, or with too many."""
    caught = record(
        start_daemon(),
        {role: 6},
        lambda recording: bool(faults_of_holds(recording.holds, recording.killed, most)),
        kind="broken",
    )

    assert faults_of_holds(caught.holds, caught.killed, most)


def test_a_queue_that_pops_is_caught(start_daemon):
    """A job is lost with its worker."""
    recording = record(start_daemon(), QUEUES, died_with, kind="popping")

    assert {f"{hold.name}: lost" for hold in died_with(recording)} <= set(faults(recording))


def test_a_queue_by_lease_is_caught(start_daemon):
    """A job has two workers."""
    recording = record(
        start_daemon(),
        QUEUES,
        lambda recording: bool(faults_of_holds(recording.holds, recording.killed)),
        kind="leased",
    )

    assert faults(recording)
