"""A thread that waits for the disk so that the loop does not have to."""

import os
import queue
import threading
from collections import deque
from collections.abc import Callable

Job = Callable[[], None]
Done = Callable[[BaseException | None], None]


class Wakeup:
    """What wakes the loop from its poll: jobs that are done, and signals."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._done: deque[tuple[Done, BaseException | None]] = deque()

    def set(self) -> None:
        """Wake the loop; callable from any thread and from a signal handler."""
        os.eventfd_write(self.fd, 1)

    def put(self, done: Done, error: BaseException | None) -> None:
        """Have the loop call `done(error)`."""
        self._done.append((done, error))
        self.set()

    def handle(self) -> None:
        """In the loop: call what was put."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return
        while self._done:
            done, error = self._done.popleft()
            done(error)

    def close(self) -> None:
        """Free the descriptor."""
        os.close(self.fd)


class Worker:
    """Runs jobs one after the other; the loop hears of each one's end, with the exception that ended it or None."""

    def __init__(self, name: str, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._jobs: queue.SimpleQueue[tuple[Job, Done] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job, done: Done) -> None:
        """Run `job`, then have the loop call `done`."""
        self._jobs.put((job, done))

    def _run(self) -> None:
        while self._next():
            pass

    def _next(self) -> bool:
        """Run the next job; tell whether it was not the last.

        In a call of its own, so that nothing of a job, such as a commit of 16 MiB, is kept until the next one comes.
        """
        item = self._jobs.get()
        if item is None:
            return False
        job, done = item
        error: BaseException | None = None
        try:
            job()
        except BaseException as caught:  # noqa: BLE001  # the loop decides what it means
            error = caught
        self._wakeup.put(done, error)
        return True

    def close(self) -> None:
        """End the thread after the jobs that it has."""
        self._jobs.put(None)
        self._thread.join()
