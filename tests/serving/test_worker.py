"""The thread that waits for the disk."""

import weakref
from functools import partial

from kvd.worker import Wakeup, Worker
from processes import wait_until


class Large:
    """What a job works on."""


def test_nothing_of_a_job_is_kept_behind_it():
    """A commit of some MiB goes when it is done, and not when the next one comes."""
    wakeup = Wakeup()
    worker = Worker("worker", wakeup)
    large, done = Large(), []
    kept = weakref.ref(large)
    worker.submit(partial(id, large), done.append)
    del large

    def is_done():
        wakeup.handle()
        return done and kept() is None

    wait_until(is_done)
    worker.close()
    wakeup.close()

    assert [None] == done
