"""The lock as a method of a store: waiting that is described with it, re-entrance, semaphores, what interrupts it."""

import pickle
import signal
import threading

import pytest

from kvclient import Client, DataStoreError, InvalidKeyError, LockHeldError
from kvclient.contract.calls import Call
from kvd import LocalDataStore
from processes import wait_until


@pytest.fixture
def store(shared_daemon):
    with Client(shared_daemon.endpoint) as store:
        yield store


def tickets(store, name):
    return store.count(f"lock:{name}#")


def in_a_thread(function):
    """Return what a function returns in a thread of its own."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(30)
    return results[0]


class TestWaiting:
    def test_with_raises_if_it_is_not_free_in_time(self, store, key):
        """An error of ours that is a TimeoutError, and names the holder; the block is not entered, the line is left."""
        named = pytest.raises(LockHeldError, match=r"held by pid \d+ .*within 0.01 s")
        with store.lock(key), named as error, store.lock(key, wait=0.01):
            pytest.fail("two hold it")

        assert isinstance(error.value, DataStoreError)
        assert isinstance(error.value, TimeoutError)
        assert 0 == tickets(store, key)

    def test_acquire_waits_as_the_lock_was_described(self, store, key):
        """And as it is told, if it is told."""
        held, waiting = store.lock(key), store.lock(key, wait=0)
        assert held.acquire()
        assert not waiting.acquire()
        waiter = threading.Thread(target=waiting.acquire, kwargs={"wait": None})
        waiter.start()
        wait_until(lambda: tickets(store, key) == 2)
        held.release()
        waiter.join(30)

        assert waiting.revision

    @pytest.mark.parametrize("wait", [-1, float("nan"), True, "5"])
    def test_waiting_that_cannot_be(self, store, key, wait):
        """ValueError, where the lock is described and where it is asked for."""
        with pytest.raises(ValueError, match="number of seconds"):
            store.lock(key, wait=wait)
        with pytest.raises(ValueError, match="number of seconds"):
            store.lock(key).acquire(wait=wait)

    @pytest.mark.parametrize("name", ["", 1, "a\n"])
    def test_name_that_cannot_be(self, store, name):
        """InvalidKeyError, before anything is asked for."""
        with pytest.raises(InvalidKeyError):
            store.lock(name)


class TestLocked:
    def test_tells_whether_anybody_holds_it(self, store, key):
        """As threading.Lock does: also who does not hold it himself is told."""
        lock = store.lock(key)
        assert not lock.locked()
        with store.lock(key):
            assert lock.locked()
            assert lock.revision is None
        assert not lock.locked()

    def test_a_semaphore_is_locked_when_all_places_are_taken(self, store, key):
        """Of two, by two."""
        with store.semaphore(key, 2) as semaphore:
            assert not semaphore.locked()
            with store.semaphore(key, 2):
                assert semaphore.locked()


class TestSemaphore:
    def test_so_many_hold_it(self, store, key):
        """A third is refused; each has a fencing number of its own, also through one object."""
        semaphore = store.semaphore(key, 2, wait=0)
        with semaphore:
            mine = semaphore.revision
            assert in_a_thread(semaphore.acquire)
            assert mine == semaphore.revision
            with pytest.raises(LockHeldError), semaphore:
                pass
            semaphore.release()
            assert semaphore.revision != mine
            assert semaphore.acquire()

        semaphore.release()
        assert 0 == tickets(store, key)

    def test_a_lock_of_its_name_is_alone_with_it(self, store, key):
        """They are one and the same, shared by n."""
        with store.semaphore(key, 3):
            assert not store.lock(key).acquire(wait=0)
            assert store.lock(key, shared=2).acquire(wait=0)


class TestReentrant:
    def test_its_thread_gets_it_again(self, store, key):
        """Also by another description of it, with the same fencing number; it is free after as many releases."""
        with store.lock(key, reentrant=True) as outer:
            with store.lock(key, reentrant=True, wait=0) as inner, outer:
                assert inner.revision == outer.revision
                assert 1 == tickets(store, key)
            assert 1 == tickets(store, key)

        assert 0 == tickets(store, key)
        assert outer.revision is None

    def test_another_thread_does_not(self, store, key):
        """It waits as everybody does, has no fencing number, and cannot release it."""
        with store.lock(key, reentrant=True) as lock:
            assert not in_a_thread(lambda: lock.acquire(wait=0))
            assert in_a_thread(lambda: lock.revision) is None

            def release():
                with pytest.raises(RuntimeError, match="not held by this thread"):
                    lock.release()
                return True

            assert in_a_thread(release)

    def test_another_client_does_not(self, shared_daemon, store, key):
        """What this client holds, it alone knows."""
        with Client(shared_daemon.endpoint) as other, store.lock(key, reentrant=True):
            assert not other.lock(key, reentrant=True).acquire(wait=0)

    def test_without_it_nobody_does(self, store, key):
        """As a threading.Lock."""
        with store.lock(key) as lock:
            assert not lock.acquire(wait=0)


def test_pickled_it_is_described_again_and_not_held(store, key):
    """As for a process that is spawned."""
    with store.lock(key, wait=0, shared=2) as lock:
        twin = pickle.loads(pickle.dumps(lock))

        assert twin.revision is None
        assert (lock.name, 2) == (twin.name, twin.shared)
        assert twin.acquire()
        assert not twin.acquire()
        twin.release()


def test_ctrl_c_leaves_the_line(store, key):
    """Also while it waits; it can be asked for again."""

    class Stop(Exception):
        pass

    def handler(*_):
        raise Stop

    before = signal.signal(signal.SIGUSR1, handler)
    main = threading.main_thread().ident
    try:
        with store.lock(key) as held:
            waiting = store.lock(key)

            def interrupt():
                wait_until(lambda: tickets(store, key) == 2)
                signal.pthread_kill(main, signal.SIGUSR1)

            thread = threading.Thread(target=interrupt)
            thread.start()
            with pytest.raises(Stop):
                waiting.acquire()
            thread.join(30)
            assert 1 == tickets(store, key)
        assert held.revision is None
        assert waiting.acquire(wait=0)
        waiting.release()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_ticket_that_arrives_after_it_was_given_up_is_removed(store, key, monkeypatch):
    """A lost line may carry it late. The next who asks for a lock of this store removes it, by whatever object."""
    late = []
    ask = store._call

    def lose(call: Call):
        if b'"op":"put"' in call.request and not late:
            late.append(call)
            raise KeyboardInterrupt
        return ask(call)

    monkeypatch.setattr(store, "_call", lose)
    with pytest.raises(KeyboardInterrupt):
        store.lock(key).acquire()
    ask(late[0])

    assert 1 == tickets(store, key)
    assert store.lock(key).acquire(wait=0)
    assert 1 == tickets(store, key)


def test_without_a_daemon(directory):
    """Threads of one process share a LocalDataStore's locks."""
    with LocalDataStore(directory / "local.json") as store:
        with store.lock("x") as lock:
            assert lock.revision
            assert not in_a_thread(lambda: store.lock("x").acquire(wait=0))
        assert store.semaphore("x", 2).acquire(wait=0)
