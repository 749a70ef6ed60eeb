"""The lock: one holder at a time, first come first served, free when its holder dies and not before."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kvclient import Client, KeyNotFoundError
from kvclient.recipes.lock import Lock
from processes import wait_until


@pytest.fixture
def store(shared_daemon):
    with Client(shared_daemon.endpoint) as store:
        yield store


@pytest.fixture
def other(shared_daemon):
    with Client(shared_daemon.endpoint) as other:
        yield other


def in_line(store, name):
    """How many hold the lock or wait for it."""
    return store.count(f"lock:{name}#")


class Waiter(threading.Thread):
    """A thread that waits for a lock, and then holds it until it is told to let go."""

    def __init__(self, endpoint, name, shared=1):
        super().__init__(daemon=True)
        self.lock = Lock(Client(endpoint), name, shared)
        self.has_it, self.let_go = threading.Event(), threading.Event()
        self.start()

    def run(self):
        with self.lock:
            self.has_it.set()
            self.let_go.wait(30)


@pytest.fixture
def come(shared_daemon, store, key):
    """Let one more come to the lock named `key`; returns when he stands in line."""
    waiters = []

    def come(shared=1):
        before = in_line(store, key)
        waiters.append(Waiter(shared_daemon.endpoint, key, shared))
        wait_until(lambda: in_line(store, key) > before)
        return waiters[-1]

    yield come
    for waiter in waiters:
        waiter.let_go.set()
    for waiter in waiters:
        waiter.join(30)


class TestOneHolder:
    def test_second_does_not_get_it(self, store, other, key):
        """With wait=0 it is told so at once, and leaves no trace in the line."""
        assert Lock(store, key).acquire()
        assert not Lock(other, key).acquire(0)
        assert not Lock(other, key).acquire(0.01)
        assert 1 == in_line(store, key)

    def test_released_lock_is_free(self, store, other, key):
        """The next one gets it, and a higher revision."""
        first, second = Lock(store, key), Lock(other, key)
        first.acquire()
        revision = first.revision
        first.release()

        assert first.revision is None
        assert second.acquire(0)
        assert second.revision > revision

    def test_as_a_context_manager(self, store, key):
        """It is held within, and free behind; also where the block raises."""
        lock = Lock(store, key)
        with pytest.raises(ZeroDivisionError), lock:
            _ = lock.revision / 0

        assert lock.revision is None
        assert 0 == in_line(store, key)

    def test_locks_of_other_names_are_others(self, store, key):
        """Also those whose names begin with this one's."""
        for name in (key, f"{key}#", f"{key}#0123456789abcdef", f"{key}:b"):
            assert Lock(store, name).acquire(0), name

    def test_keys_that_are_no_tickets_do_not_count(self, store, key):
        """What no process owns would hold the lock for ever."""
        store.create(f"lock:{key}#0123456789abcdef", 1)

        assert Lock(store, key).acquire(0)

    def test_holders_are_named(self, store, other, key):
        """With pid, command line as it is, and revision; waiters are none."""
        lock = Lock(store, key)
        lock.acquire()
        (holder,) = Lock(other, key).holders()

        assert (os.getpid(), lock.revision) == (holder.pid, holder.revision)
        assert holder.command == " ".join(Path("/proc/self/cmdline").read_text().rstrip("\0").split("\0"))

    def test_one_who_waits_is_told_of_the_holders(self, store, other, key):
        """Once."""
        told = []
        Lock(store, key).acquire()
        Lock(other, key).acquire(0.05, on_wait=told.append)

        assert [[os.getpid()]] == [[holder.pid for holder in holders] for holders in told]

    def test_releasing_what_is_not_held(self, store, key):
        """RuntimeError, as of threading.Lock."""
        with pytest.raises(RuntimeError, match="is not held"):
            Lock(store, key).release()

    def test_lock_that_somebody_took_away(self, store, key):
        """Its end says that it was not held all the time."""
        lock = Lock(store, key)
        lock.acquire()
        store.clear(f"lock:{key}#")

        with pytest.raises(KeyNotFoundError, match="no longer held"):
            lock.release()

    @pytest.mark.parametrize("shared", [0, -1, True, 1.5])
    def test_number_of_holders_that_cannot_be(self, store, shared):
        """ValueError."""
        with pytest.raises(ValueError, match="from 1 on"):
            Lock(store, "x", shared)


class TestLine:
    def test_first_come_first_served(self, come):
        """Each release lets in the next one, and nobody else."""
        waiters = [come() for _ in range(4)]
        for place, waiter in enumerate(waiters):
            assert waiter.has_it.wait(30)
            assert [True] * (place + 1) + [False] * (3 - place) == [each.has_it.is_set() for each in waiters]
            waiter.let_go.set()

    def test_one_gives_up_in_the_midst_of_the_line(self, store, other, key, come):
        """Who stood behind him moves up, and not past the one in front."""
        holder = come()
        impatient = threading.Thread(target=Lock(other, key).acquire, args=(0.3,))
        impatient.start()
        wait_until(lambda: in_line(store, key) == 2)
        last = come()
        impatient.join(30)

        assert not last.has_it.is_set()
        holder.let_go.set()
        assert last.has_it.wait(30)

    def test_one_whose_ticket_is_deleted_comes_to_the_end(self, store, key, come):
        """He gets the lock after those who stood behind him."""
        holder, waiter = come(), come()
        store.delete(max(store.entries(f"lock:{key}#"), key=lambda entry: entry.revision).key)
        last = come()
        holder.let_go.set()

        assert last.has_it.wait(30)
        assert not waiter.has_it.is_set()
        last.let_go.set()
        assert waiter.has_it.wait(30)

    def test_threads_with_one_lock_wait_for_each_other(self, store, key):
        """As those of other processes do."""
        lock, inside, most = Lock(store, key), [], []

        def work():
            for _ in range(5):
                with lock:
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert [1] * 20 == most


class TestShared:
    def test_so_many_at_a_time(self, come):
        """Two of three; the third when any of them goes, here the last to come."""
        first, second, third = come(2), come(2), come(2)
        assert first.has_it.wait(30)
        assert second.has_it.wait(30)
        assert not third.has_it.is_set()
        second.let_go.set()

        assert third.has_it.wait(30)

    def test_one_that_is_alone_with_it(self, store, key, come):
        """Who came with shared=1 waits until all are gone, and lets nobody in beside him."""
        readers, writer, late = [come(3), come(3)], come(1), come(3)
        assert all(reader.has_it.wait(30) for reader in readers)
        readers[0].let_go.set()
        wait_until(lambda: in_line(store, key) == 3)
        assert not writer.has_it.is_set()
        readers[1].let_go.set()
        assert writer.has_it.wait(30)
        assert not late.has_it.is_set()
        writer.let_go.set()

        assert late.has_it.wait(30)


HOLDER = """
import sys
from kvclient import Client
from kvclient.recipes.lock import Lock
lock = Lock(Client(sys.argv[1]), sys.argv[2])
lock.acquire()
print(lock.revision, flush=True)
sys.stdin.read()
"""


def test_a_lock_is_free_when_its_holder_is_killed(shared_daemon, store, key):
    """By the kernel's word: the next one has it, with a higher revision."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, shared_daemon.endpoint, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    revision = int(holder.stdout.readline())
    assert not Lock(store, key).acquire(0)
    holder.kill()
    holder.communicate()
    lock = Lock(store, key)

    assert lock.acquire(30)
    assert lock.revision > revision


def test_a_lock_outlives_a_restart_of_the_daemon(start_daemon, key):
    """Also if it is killed: the holder has it still, and one who waits goes on waiting, then gets it."""
    daemon = start_daemon()
    with Client(daemon.endpoint, timeout=30) as holder, Client(daemon.endpoint, timeout=30) as waiting:
        lock, second = Lock(holder, key), Lock(waiting, key)
        lock.acquire()
        waiter = threading.Thread(target=second.acquire)
        waiter.start()
        wait_until(lambda: in_line(holder, key) == 2)
        daemon.kill()
        daemon.start()

        assert not Lock(holder, key).acquire(0)
        assert second.revision is None
        lock.release()
        waiter.join(60)
        assert second.revision


def test_a_child_does_not_hold_what_its_parent_holds(store, key):
    """After a fork the lock is the parent's: the child cannot release it."""
    lock = Lock(store, key)
    lock.acquire()
    child = os.fork()
    if child == 0:
        os._exit(0 if lock.revision is None else 1)
    _, status = os.waitpid(child, 0)

    assert 0 == status
    assert lock.revision
