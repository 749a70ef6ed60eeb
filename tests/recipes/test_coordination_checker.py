"""The checker of what processes recorded of locks and queues finds what is wrong, and only that."""

import pytest
from coordination import Hold, faults_of_holds, faults_of_jobs

A, B, C = 1, 2, 3


def hold(pid, revision, began, ended, done=False):
    return Hold("x", pid, revision, began, ended, done)


GOOD = {
    "one after the other": ([hold(A, 1, 0, 1), hold(B, 2, 2, 3), hold(A, 3, 4, 5)], {}),
    "one after one that was killed": ([hold(A, 1, 0, None), hold(B, 2, 2, 3)], {A: 1}),
    "one that is stopped": ([hold(A, 1, 0, 100), hold(B, 2, 101, 102)], {}),
    "killed, but not in there": ([hold(A, 1, 0, 1), hold(B, 2, 2, 3)], {A: 2.5}),
}
BAD = {
    "two at a time": ([hold(A, 1, 0, 2), hold(B, 2, 1, 3)], {}),
    "two at a time, one of whom was killed later": ([hold(A, 1, 0, None), hold(B, 2, 1, 3)], {A: 2}),
    "one after one who never let go": ([hold(A, 1, 0, None), hold(B, 2, 1, 2)], {}),
    "fencing numbers that fall": ([hold(A, 5, 0, 1), hold(B, 4, 2, 3)], {}),
    "fencing numbers that stay": ([hold(A, 5, 0, 1), hold(B, 5, 2, 3)], {}),
    "one in the midst of a long one": ([hold(A, 1, 0, 9), hold(B, 2, 3, 4), hold(C, 3, 5, 6)], {}),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_holds(name):
    """A history that a lock can have has no faults."""
    assert [] == faults_of_holds(*GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_bad_holds(name):
    """A history that no lock can have is caught, also beside holds of other names."""
    holds, killed = BAD[name]
    others = [each._replace(name="other") for each in GOOD["one after the other"][0]]

    assert faults_of_holds([*others, *holds], killed)


def test_a_semaphore():
    """As many as may hold it at a time are good, one more is bad."""
    three = [hold(A, 1, 0, 9), hold(B, 2, 1, 9), hold(C, 3, 2, 9)]

    assert [] == faults_of_holds(three, {}, most=3)
    assert faults_of_holds(three, {}, most=2)


GOOD_JOBS = {
    "done": ([hold(A, 1, 0, 1, done=True)], {}),
    "done after a death": ([hold(A, 1, 0, None), hold(B, 2, 2, 3, done=True)], {A: 1}),
    "done, or so it seems, and then its worker was killed": ([hold(A, 1, 0, 1)], {A: 2}),
    "not done, though it seemed so": ([hold(A, 1, 0, 1), hold(B, 2, 3, 4, done=True)], {A: 2}),
}
BAD_JOBS = {
    "never taken": ([], {}),
    "lost with its worker": ([hold(A, 1, 0, None)], {A: 1}),
    "done twice": ([hold(A, 1, 0, 1, done=True), hold(B, 2, 2, 3, done=True)], {}),
    "taken after it was done": ([hold(A, 1, 0, 1, done=True), hold(B, 2, 2, None)], {B: 3}),
    "two workers": ([hold(A, 1, 0, 2), hold(B, 2, 1, 3, done=True)], {A: 5}),
}


@pytest.mark.parametrize("name", GOOD_JOBS)
def test_good_jobs(name):
    """A history that a queue can have has no faults, whether the job was promised or not."""
    holds, killed = GOOD_JOBS[name]

    assert [] == faults_of_jobs(holds, killed, promised=["x"], perhaps=[])
    assert [] == faults_of_jobs(holds, killed, promised=[], perhaps=["x", "y"])


@pytest.mark.parametrize("name", BAD_JOBS)
def test_bad_jobs(name):
    """A history that no queue can have is caught."""
    holds, killed = BAD_JOBS[name]

    assert faults_of_jobs(holds, killed, promised=["x"], perhaps=[])


def test_a_job_that_nobody_put():
    """Is caught, though it was done."""
    assert faults_of_jobs([hold(A, 1, 0, 1, done=True)], {}, promised=[], perhaps=["y"])
