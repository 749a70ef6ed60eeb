"""The queue: each job has one worker, what a dead worker had comes back in its place, the order is kept."""

import os
import pickle
import queue as standard
import signal
import subprocess
import sys
import threading

import pytest

from kvclient import Client, DataStoreError, InvalidKeyError, KeyNotFoundError, RequestTimeoutError
from kvclient.recipes import jobs as layout
from kvclient.recipes.queue import Empty
from kvd import LocalDataStore
from processes import wait_until


@pytest.fixture
def store(shared_daemon):
    with Client(shared_daemon.endpoint) as store:
        yield store


@pytest.fixture
def other(shared_daemon):
    with Client(shared_daemon.endpoint) as other:
        yield other


@pytest.fixture
def queue(store, key):
    return store.queue(key)


def values(queue, count):
    """Take so many jobs, which has to be possible at once."""
    return [queue.get(wait=0).value for _ in range(count)]


WORKER = """
import sys
from kvclient import Client
queue = Client(sys.argv[1]).queue(sys.argv[2])
for _ in range(int(sys.argv[3])):
    job = queue.get(wait=30)
    print(job.value, job.deaths, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def worker(shared_daemon, key):
    """Start a process that takes jobs and keeps them; returns when it has them, and what it printed."""
    processes = []

    def worker(jobs=1):
        command = [sys.executable, "-c", WORKER, shared_daemon.endpoint, key, str(jobs)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process, [process.stdout.readline().strip() for _ in range(jobs)]

    yield worker
    for process in processes:
        process.kill()
        process.communicate()


class TestOneAfterTheOther:
    def test_first_in_first_out(self, queue):
        """Those of one call, too."""
        queue.put(1)
        queue.put_many([2, 3])
        queue.put(4)

        assert [1, 2, 3, 4] == values(queue, 4)

    def test_a_job_that_is_taken_is_no_one_elses(self, queue, other, key):
        """Nor is one that is done."""
        queue.put("only")
        job = queue.get()
        with pytest.raises(standard.Empty):
            other.queue(key).get(wait=0)
        queue.done(job)
        with pytest.raises(standard.Empty):
            other.queue(key).get(wait=0.01)

    def test_what_a_job_says(self, store, queue):
        """Its value, the id that it got, how often it was taken in vain, and a revision that rises."""
        job_id = queue.put({"image": "cat.png", "nothing": None})
        job = queue.get()
        assert ({"image": "cat.png", "nothing": None}, job_id, 0, False) == (job.value, job.id, job.deaths, job.last)
        assert store.entry(f"queue:{queue.name}#job:{job_id}").revision == job.revision
        queue.give_back(job, counts=True)
        again = queue.get()

        assert (job_id, 1) == (again.id, again.deaths)
        assert again.revision > job.revision

    @pytest.mark.parametrize("value", [None, 0, "", [], {"by": "x", "taken": 9}])
    def test_any_value(self, queue, value):
        """Also those that look like nothing, or like what the queue writes."""
        queue.put(value)

        assert [value] == values(queue, 1)

    def test_waits_for_a_job(self, queue, other, key):
        """It is told of it, and takes it at once."""
        found = []
        thread = threading.Thread(target=lambda: found.append(queue.get(wait=30).value))
        thread.start()
        wait_until(lambda: other.stats()["watchers"])
        other.queue(key).put("at last")
        thread.join(30)

        assert ["at last"] == found

    def test_empty(self, queue):
        """Of the standard library's kind and of ours; it says which queue."""
        with pytest.raises(Empty, match=f"'{queue.name}'") as error:
            queue.get(wait=0)

        assert isinstance(error.value, standard.Empty)
        assert isinstance(error.value, DataStoreError)

    def test_done_twice(self, queue):
        """Says that it is not held any more, as for one that was given back and taken by somebody else."""
        queue.put_many([1, 2])
        job = queue.get()
        queue.done(job)
        with pytest.raises(KeyNotFoundError, match="not held any more"):
            queue.done(job)
        job = queue.get()
        queue.give_back(job)
        again = queue.get()
        with pytest.raises(KeyNotFoundError, match="not held any more"):
            queue.done(job)
        queue.done(again)

    def test_next_is_done_and_get(self, store, queue):
        """In one commit, if there is a next one."""
        queue.put_many(["a", "b", "c"])
        a = queue.get()
        commits = store.stats()["commits"]
        b = queue.next(a)
        assert ("b", 2, commits + 1) == (b.value, len(queue), store.stats()["commits"])
        queue.put("first", priority=1)
        c = queue.next(queue.next(b))
        assert ("c", 1) == (c.value, len(queue))
        with pytest.raises(standard.Empty):
            queue.next(c, wait=0)
        assert 0 == len(queue)

    def test_next_of_a_job_that_is_not_held(self, store, queue, key):
        """Says so, and takes none."""
        queue.put_many(["a", "b"])
        job = queue.get()
        queue.done(job)
        with pytest.raises(KeyNotFoundError, match="not held any more"):
            queue.next(job)
        assert ["b"] == values(store.queue(key), 1)
        with pytest.raises(KeyNotFoundError, match="not held any more"):
            queue.next(job)

    def test_next_may_be_a_last_attempt(self, store, key):
        """Also of one that is on its last attempt itself."""
        queue = store.queue(key, max_deaths=1)
        queue.put_many(["a", "b"])
        job = queue.next(queue.get())
        assert ("b", True, 1) == (job.value, job.last, len(queue))
        queue.done(job)
        assert (0, []) == (len(queue), queue.dead())

    def test_queues_of_other_names_are_others(self, store, key):
        """Also those whose names begin with this one's."""
        for name in (key, f"{key}:", f"{key}:job"):
            store.queue(name).put(name)
        for name in (key, f"{key}:", f"{key}:job"):
            assert (1, [name]) == (len(store.queue(name)), values(store.queue(name), 1))

    def test_keys_that_are_no_jobs_are_passed_over(self, store, queue):
        """Somebody may have written them by hand."""
        store.create(f"queue:{queue.name}#job:0000", 1)
        store.create(f"queue:{queue.name}#job:0001", {"value": 1})
        queue.put("real")

        assert ["real"] == values(queue, 1)

    def test_many_jobs_are_being_worked_on(self, queue):
        """More than fit on the first page that is looked at."""
        queue.put_many(range(1100))
        taken = [queue.get(wait=0) for _ in range(1050)]

        assert list(range(1050)) == [job.value for job in taken]
        assert [1050] == values(queue, 1)
        queue.give_back(taken[500])
        assert [500, 1051] == values(queue, 2)

    def test_a_worker_that_comes_while_somebody_looks(self, store, queue, worker, monkeypatch):
        """What it takes on a page that is looked at later is its own, though it was not there on the first page."""
        queue.put_many(range(40))
        for _ in range(30):
            queue.get(wait=0)
        ask, workers = store._call, []

        def come(call):
            if b'"op":"list"' in call.request and b'"after"' in call.request and not workers:
                workers.append(worker())
            return ask(call)

        monkeypatch.setattr(store, "_call", come)
        mine = store.queue(queue.name).get(wait=0)

        assert ["30 0"] == workers[0][1]
        assert 31 == mine.value

    @pytest.mark.parametrize("name", ["", "a#b", 1, "a\n"])
    def test_name_that_cannot_be(self, store, name):
        """InvalidKeyError."""
        with pytest.raises(InvalidKeyError):
            store.queue(name)

    @pytest.mark.parametrize(
        "arguments", [{"delay": -1}, {"delay": "1"}, {"delay": True}, {"priority": 0.5}, {"priority": 40000}]
    )
    def test_arguments_that_cannot_be(self, queue, arguments):
        """ValueError, and nothing is put."""
        with pytest.raises(ValueError, match="number"):
            queue.put(1, **arguments)
        assert 0 == len(queue)

    @pytest.mark.parametrize("deaths", [0, True, "3"])
    def test_deaths_that_cannot_be(self, store, deaths):
        """ValueError."""
        with pytest.raises(ValueError, match="max_deaths"):
            store.queue("x", max_deaths=deaths)

    def test_put_many_of_none(self, queue):
        """Puts none."""
        assert [] == queue.put_many([])
        assert 0 == len(queue)


class TestOrder:
    def test_higher_priorities_first(self, queue):
        """Also those that come later; below zero they come last."""
        queue.put("low", priority=-5)
        queue.put_many(["a", "b"])
        queue.put("high", priority=3)
        assert ["high", "a"] == values(queue, 2)
        queue.put("late", priority=1)

        assert ["late", "b", "low"] == values(queue, 3)

    def test_one_that_comes_back_has_its_old_place(self, queue):
        """Ahead of all that came after it."""
        queue.put_many(["a", "b", "c"])
        first, second = queue.get(), queue.get()
        queue.give_back(second)
        queue.give_back(first)

        assert ["a", "b", "c"] == values(queue, 3)

    def test_a_clock_that_is_set_back(self, queue, monkeypatch):
        """What this process puts keeps its order."""
        queue.put("a")
        monkeypatch.setattr(layout.time, "time_ns", lambda: 1)
        queue.put_many(["b", "c"])

        assert ["a", "b", "c"] == values(queue, 3)

    @pytest.mark.parametrize("together", [False, True], ids=["get", "next"])
    def test_workers_that_take_jobs_at_the_same_moment(self, store, other, key, together):
        """Where somebody was faster, one goes on to the next; all are taken, each once."""
        store.queue(key).put_many(range(200))
        taken = []

        def work(client):
            mine = client.queue(key)
            try:
                job = mine.get(wait=0)
                while True:
                    taken.append(job.value)
                    job = mine.next(job, wait=0) if together else mine.get(wait=0)
            except standard.Empty:
                pass

        threads = [threading.Thread(target=work, args=(client,)) for client in (store, other) * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert list(range(200)) == sorted(taken)


class TestDelay:
    def test_not_before_it_is_due(self, queue):
        """Then it is taken at once by one who waits; a job without a delay is served meanwhile."""
        queue.put("later", delay=0.3)
        queue.put("now")
        assert ["now"] == values(queue, 1)
        with pytest.raises(standard.Empty):
            queue.get(wait=0)

        assert "later" == queue.get(wait=30).value

    def test_who_waits_is_told_of_one_that_is_due_sooner(self, queue, other, key):
        """He waited for another one, or for none."""
        queue.put("in an hour", delay=3600)
        found = []
        thread = threading.Thread(target=lambda: found.append(queue.get(wait=60).value))
        thread.start()
        wait_until(lambda: other.stats()["watchers"])
        other.queue(key).put_many(["soon", "next"], delay=0.05)
        thread.join(30)

        assert ["soon"] == found
        assert ["next"] == values(queue, 1)

    def test_its_place_is_that_of_its_priority_and_its_time(self, queue, monkeypatch):
        """As if it had been put when it fell due."""
        monkeypatch.setattr(layout, "_last", 0)
        began = layout.time.time_ns() - 60 * 10**9

        def put(value, at, **how):
            monkeypatch.setattr(layout.time, "time_ns", lambda: began + at * 10**9)
            queue.put(value, **how)

        put("b", 0, delay=10)
        put("first", 1, delay=10, priority=1)
        put("a", 5)
        put("c", 15)

        assert ["first", "a", "b", "c"] == values(queue, 4)

    def test_many_that_are_due_at_once(self, queue):
        """More than are brought in one batch, in their order."""
        queue.put_many(range(150), delay=0.001)

        assert list(range(150)) == [queue.get(wait=30).value for _ in range(150)]


class TestDeaths:
    def test_what_a_dead_worker_had_comes_back_at_once(self, store, queue, worker):
        """All of it, in its place, and one who waits gets it."""
        queue.put_many(["a", "b", "c"])
        process, told = worker(jobs=2)
        assert ["a 0", "b 0"] == told
        assert "c" == queue.get().value
        found = []
        thread = threading.Thread(target=lambda: found.extend([queue.get(wait=30), queue.get(wait=30)]))
        thread.start()
        wait_until(lambda: store.stats()["watchers"])
        process.kill()
        thread.join(30)

        assert [("a", 1), ("b", 1)] == [(job.value, job.deaths) for job in found]

    def test_a_worker_that_lives_keeps_it(self, queue, worker):
        """However long it does nothing; also stopped."""
        queue.put("a")
        process, _ = worker()
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(standard.Empty):
            queue.get(wait=0.1)

    def test_a_dead_letter_after_so_many_deaths(self, queue, worker):
        """It is one at once, and nobody gets it any more."""
        job_id = queue.put("poison")
        for deaths in range(3):
            process, told = worker()
            assert [f"poison {deaths}"] == told
            assert [] == queue.dead()
            assert 1 == len(queue)
            process.kill()
            process.wait()

        wait_until(queue.dead)
        (dead,) = queue.dead()
        assert ("poison", job_id, 3, None) == (dead.value, dead.id, dead.deaths, dead.error)
        with pytest.raises(standard.Empty):
            queue.get(wait=0)
        assert 0 == len(queue)

    def test_as_many_deaths_as_it_takes(self, store, key):
        """Without a limit there are no dead letters."""
        queue = store.queue(key, max_deaths=None)
        queue.put(1)
        for deaths in range(10):
            job = queue.get(wait=0)
            assert (deaths, False) == (job.deaths, job.last)
            queue.give_back(job, counts=True)
        assert [] == queue.dead()

    def test_a_dead_letter_can_be_tried_again(self, store, key):
        """In its old place, as if it had never been taken; or be thrown away."""
        queue = store.queue(key, max_deaths=1)
        queue.put_many(["a", "b"])
        for _ in range(2):
            queue.give_back(queue.get(), counts=True, error="too bad")
        queue.put("c")
        a, b = queue.dead()
        assert ("a", 1, "too bad") == (a.value, a.deaths, a.error)
        queue.retry(a)
        queue.discard(b)

        assert [] == queue.dead()
        assert ["a", "c"] == values(queue, 2)
        for end in (queue.retry, queue.discard):
            with pytest.raises(KeyNotFoundError, match="no dead letter"):
                end(a)

    def test_a_letter_that_is_worked_on_again_is_none(self, store, key):
        """Who read of it before cannot throw it away."""
        queue = store.queue(key, max_deaths=1)
        queue.put("a")
        queue.give_back(queue.get(), counts=True)
        (dead,) = queue.dead()
        queue.retry(dead)
        job = queue.get()
        with pytest.raises(KeyNotFoundError):
            queue.discard(dead)
        queue.done(job)

    def test_the_last_attempt_can_be_done_and_be_given_back(self, store, key):
        """As any other."""
        queue = store.queue(key, max_deaths=1)
        queue.put_many(["a", "b"])
        job = queue.get()
        assert (True, 2) == (job.last, len(queue))
        queue.give_back(job)
        job = queue.get()
        assert ("a", 0) == (job.value, job.deaths)
        queue.done(job)

        assert (1, []) == (len(queue), queue.dead())


class TestWithJob:
    def test_is_done_at_the_end(self, queue):
        """Of the block."""
        queue.put(1)
        with queue.job() as job:
            assert (1, 1) == (job.value, len(queue))
        assert 0 == len(queue)

    def test_an_exception_gives_it_back_and_counts(self, queue):
        """And goes on; the last one makes it a dead letter, with what was said."""
        queue.put(1)
        for deaths in range(3):
            with pytest.raises(ZeroDivisionError), queue.job() as job:
                _ = job.deaths / (job.deaths - deaths)

        assert ["ZeroDivisionError: division by zero"] == [dead.error for dead in queue.dead()]

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
    def test_what_says_nothing_of_the_job_does_not_count(self, queue, interruption):
        """Ctrl-C gives it back as it was."""
        queue.put(1)
        for _ in range(5):
            with pytest.raises(interruption), queue.job():
                raise interruption
        assert 0 == queue.get().deaths

    def test_waits_as_get(self, queue):
        """And raises Empty."""
        with pytest.raises(standard.Empty), queue.job(wait=0):
            pytest.fail("there is none")


class TestInterruptions:
    def lose(self, store, monkeypatch, error, *, before):
        """Have the next take raise an error in the place of its answer, before or after it is carried out."""
        ask, late = store._call, []

        def lossy(call):
            if b'"op":"update"' in call.request and not late:
                late.append(call)
                if not before:
                    ask(call)
                raise error
            return ask(call)

        monkeypatch.setattr(store, "_call", lossy)
        return lambda: ask(late[0])

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), RequestTimeoutError("No answer.")])
    def test_interrupted_it_has_taken_none(self, store, queue, other, key, monkeypatch, error):
        """The job is free, and this was no death of it."""
        queue.put(1)
        self.lose(store, monkeypatch, error, before=False)
        with pytest.raises(type(error)):
            queue.get()
        job = other.queue(key).get(wait=0)

        assert (1, 0) == (job.value, job.deaths)

    def test_a_take_that_arrives_late_is_given_back(self, store, queue, other, key, monkeypatch):
        """By the next one of this store, by whatever object."""
        queue.put(1)
        arrive = self.lose(store, monkeypatch, KeyboardInterrupt(), before=True)
        with pytest.raises(KeyboardInterrupt):
            queue.get()
        arrive()
        with pytest.raises(standard.Empty):
            other.queue(key).get(wait=0)

        assert [1] == values(store.queue(key), 1)


class TestSize:
    def test_counts_what_is_not_done(self, queue):
        """What waits, what is delayed, and what is being worked on."""
        queue.put_many([1, 2])
        queue.put(3, delay=3600)
        assert 3 == len(queue)
        job = queue.get()
        assert 3 == len(queue)
        queue.done(job)

        assert 2 == len(queue) == queue.size()

    def test_an_empty_queue_is_true(self, queue):
        """It is a queue all the same."""
        assert 0 == len(queue)
        assert queue


def test_a_child_is_a_worker_of_its_own(queue):
    """After a fork: what the child takes is free when it dies, though its parent lives."""
    queue.put_many(["parent's", "child's"])
    assert "parent's" == queue.get().value
    child = os.fork()
    if child == 0:
        os._exit(0 if queue.get(wait=30).value == "child's" else 1)
    _, status = os.waitpid(child, 0)

    assert 0 == status
    assert "child's" == queue.get(wait=30).value


def test_pickled_it_is_the_same_queue(queue):
    """For a process that is spawned."""
    queue.put(1)

    assert [1] == values(pickle.loads(pickle.dumps(queue)), 1)


def test_jobs_outlive_the_daemon(start_daemon):
    """Killed and started again, it knows what waits, who has what, and what is done."""
    daemon = start_daemon()
    with Client(daemon.endpoint, timeout=30) as store:
        queue = store.queue("x")
        queue.put_many(["a", "b", "c"])
        a, b = queue.get(), queue.get()
        queue.done(b)
        daemon.kill()
        daemon.start()

        assert ["c"] == values(queue, 1)
        queue.done(a)
        assert 1 == len(queue)


def test_without_a_daemon(directory):
    """A LocalDataStore has queues, too; what its process had when it ended comes back when it is opened again."""
    path = directory / "local.json"
    program = (
        "import sys, os; from kvd import LocalDataStore; q = LocalDataStore(sys.argv[1]).queue('x');"
        "q.put_many([1, 2]); q.done(q.get()); q.get(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    with LocalDataStore(path) as store:
        job = store.queue("x").get(wait=30)
        assert (2, 1) == (job.value, job.deaths)
