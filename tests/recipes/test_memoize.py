"""Memoized functions: computed once on the machine, handed over at once, and forgotten when they should be."""

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from kvclient import (
    Client,
    DataStoreError,
    InvalidTTLError,
    InvalidValueError,
    RequestTimeoutError,
    ValueTooLargeError,
)
from kvclient.contract import calls
from kvclient.recipes import claim, computing
from kvclient.recipes.steps import run
from kvd import LocalDataStore
from processes import environment, kvctl, wait_until


@pytest.fixture(params=["client", "local"])
def store(request, directory):
    """A store through a daemon, and one in this process: what they do is the same."""
    if request.param == "client":
        with Client(request.getfixturevalue("shared_daemon").endpoint) as store:
            yield store
    else:
        with LocalDataStore(directory / "local.json") as store:
            yield store


@pytest.fixture
def prefix(key):
    """What the keys of this test begin with."""
    return f"{key}:"


class Counted:
    """A function that notes its runs, and the memoized one."""

    def __init__(self, store, prefix, result=None, **options):
        self.runs = []
        self.result = result or (lambda x: [x])
        self.let_go, self.asked = threading.Event(), threading.Semaphore(0)
        self.let_go.set()

        @store.memoize(prefix=prefix, **options)
        def counted(x=0):
            """Return a list of x."""
            self.runs.append(x)
            self.asked.release()
            assert self.let_go.wait(30)
            return self.result(x)

        self.memo = counted


def in_threads(number, function):
    """Call `function` in so many threads; a list of what each came to, an exception included."""
    outcomes = []

    def call():
        try:
            outcomes.append(function())
        except BaseException as error:  # noqa: BLE001
            outcomes.append(error)

    threads = [threading.Thread(target=call, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    return SimpleNamespace(outcomes=outcomes, join=lambda: [thread.join(30) for thread in threads] and outcomes)


def watchers(store):
    return store.stats()["watchers"]


class TestOnce:
    def test_kept(self, store, prefix):
        """The second call runs nothing, and gets the same value."""
        counted = Counted(store, prefix)

        assert [[3], [3], [4]] == [counted.memo(3), counted.memo(3), counted.memo(x=4)]
        assert [3, 4] == counted.runs

    def test_none_is_kept(self, store, prefix):
        """It is a value as any other."""
        counted = Counted(store, prefix, lambda _x: None)

        assert [None, None] == [counted.memo(), counted.memo()]
        assert [0] == counted.runs

    def test_threads_exclude_each_other(self, store, prefix):
        """One of eight computes while seven wait; all get its value."""
        counted = Counted(store, prefix)
        counted.let_go.clear()
        before = watchers(store)
        threads = in_threads(8, counted.memo)
        wait_until(lambda: watchers(store) - before == 7)
        counted.let_go.set()

        assert [[0]] * 8 == threads.join()
        assert [0] == counted.runs

    def test_who_comes_late_looks_once_more(self, store, prefix):
        """Computed and released between his look and his claim: he takes what is there."""
        counted = Counted(store, prefix)
        key = counted.memo.key()
        looked = []

        def call(step):
            answer = error = None
            try:
                answer = store._call(step)
            except DataStoreError as raised:
                error = raised
            if not looked:
                looked.append(step)
                counted.memo()
            if error:
                raise error
            return answer

        late = computing.Computing("late", None, 0, None, None, lambda _key, steps: steps)

        assert [0] == run(call, late.get(key, lambda: pytest.fail("computed twice")))
        assert [key] == list(store.list(prefix))

    def test_expired_value_is_computed_anew(self, directory, clock, prefix):
        """The moment that its TTL is over, and not before."""
        with LocalDataStore(directory / "local.json", clock=clock) as store:
            counted = Counted(store, prefix, ttl=60)
            counted.memo()
            clock.now += 59.9
            counted.memo()
            assert [0] == counted.runs
            clock.now += 0.1
            counted.memo()
            assert [0, 0] == counted.runs

    def test_everybody_gets_what_json_makes_of_it(self, store, prefix):
        """Also who computed it."""
        counted = Counted(store, prefix, lambda x: {"pair": (x, x)})

        assert [{"pair": [1, 1]}] * 2 == [counted.memo(1), counted.memo(1)]

    def test_with_a_type(self, store, prefix):
        """The type of the result, for the one who computes and for the others."""

        class Pair(BaseModel):
            left: int

        counted = Counted(store, prefix, lambda x: {"left": x}, as_=Pair)

        assert [Pair(left=1)] * 2 == [counted.memo(1), counted.memo(1)]

    def test_what_does_not_fit_the_type_any_more(self, store, prefix):
        """It is computed anew, as after the type has changed; so is what somebody else has put there."""
        counted = Counted(store, prefix, as_=list[int])
        for there in ({"value": "a", "took": 1}, {"value": [1]}, 7):
            store.put(counted.memo.key(1), there)

            assert [1] == counted.memo(1)
        assert [1, 1, 1] == counted.runs


PROGRAM = """
import sys, time
from kvclient import Client
endpoint, prefix = sys.argv[1:]
store = Client(endpoint)

@store.memoize(prefix=prefix)
def slow(x):
    store.increment(prefix + "runs")
    while not store.exists(prefix + "go"):
        time.sleep(0.01)
    return [x, "computed"]

print(slow(1))
"""


class TestProcesses:
    @pytest.fixture
    def store(self, daemon):
        with Client(daemon.endpoint) as store:
            yield store

    @pytest.fixture
    def eight(self, daemon, store):
        """Eight processes that ask for one value: one computes, seven wait."""
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, daemon.endpoint, "slow:"], stdout=subprocess.PIPE, text=True
            )
            for _ in range(8)
        ]
        try:
            wait_until(lambda: watchers(store) == 7)
            yield processes
        finally:
            for process in processes:
                process.kill()
                process.communicate()

    def test_computed_once(self, store, eight):
        """All eight get the value of one computation."""
        store.create("slow:go", 1)

        assert {"[1, 'computed']\n"} == {process.communicate(timeout=30)[0] for process in eight}
        assert 1 == store.read("slow:runs")

    def test_the_one_who_computes_is_killed(self, store, eight):
        """One of those who wait computes at once, and the others get its value: two computations, not eight."""
        for runs in (2, 3):
            pid = next(store.entries("slow:__main__.slow(x=1)#")).owner.pid
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda runs=runs: store.read("slow:runs") == runs)
        store.create("slow:go", 1)

        assert ["", ""] + ["[1, 'computed']\n"] * 6 == sorted(process.communicate(timeout=30)[0] for process in eight)
        assert 3 == store.read("slow:runs")

    def test_the_daemon_is_killed_meanwhile(self, daemon, store, eight):
        """It starts again, and all goes on: the one who computes has his claim still, those who wait go on waiting."""
        daemon.kill()
        daemon.start()
        wait_until(lambda: watchers(store) == 7)
        store.create("slow:go", 1)

        assert {"[1, 'computed']\n"} == {process.communicate(timeout=30)[0] for process in eight}
        assert 1 == store.read("slow:runs")


FIRST = """
from kvclient import Client

@Client().memoize
def double(x):
    return 2 * x

print(double(2), double.forget(2))
"""


def test_first_use_starts_the_daemon(directory):
    """The look for a value would start none for a store that is not there yet; what follows it does."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", FIRST],
            env=environment(directory),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        kvctl("stop", directory=directory)

    assert ("4 True\n", "") == (done.stdout, done.stderr)


class TestHandsOver:
    @pytest.mark.parametrize("error", [ZeroDivisionError, StopIteration, KeyboardInterrupt, SystemExit])
    def test_one_that_raises(self, store, prefix, error):
        """Its caller gets the exception; one of those who wait computes, and all others get that value."""
        counted = Counted(store, prefix)
        counted.let_go.clear()

        def result(_x):
            if len(counted.runs) == 1:
                raise error("once")
            return "computed"

        counted.result = result
        before = watchers(store)
        threads = in_threads(5, counted.memo)
        wait_until(lambda: watchers(store) - before == 4)
        counted.let_go.set()

        outcomes = threads.join()
        assert ["computed"] * 4 == [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
        assert [error] == [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]
        assert [0, 0] == counted.runs

    def test_exception_is_not_kept(self, store, prefix):
        """The next call computes, and nothing is left of the first."""
        counted = Counted(store, prefix, lambda x: 1 // x)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                counted.memo(0)

        assert [0, 0] == counted.runs
        assert [] == list(store.list(prefix))

    @pytest.mark.parametrize("error", [KeyboardInterrupt, RequestTimeoutError])
    def test_answer_to_the_claim_is_lost(self, store, key, error):
        """Whether there is a claim is found out, and it is given up: nobody waits for one who has gone."""

        def call(step):
            answer = store._call(step)
            if b'"op":"create"' in step.request:
                raise error("lost")
            return answer

        def beside(steps):
            threading.Thread(target=run, args=(store._call, steps), daemon=True).start()

        with pytest.raises(error):
            run(call, claim.take(key, beside))

        wait_until(lambda: not store.exists(key))

    def test_claim_is_decided_after_its_answer_was_given_up(self, store, key):
        """It waits for the disk with the changes before it, which reads do not: a change behind it finds it."""
        waiting = []

        def call(step):
            if b'"op":"create"' in step.request:
                waiting.append(step)
                raise KeyboardInterrupt
            if step.changes and waiting:
                store._call(waiting.pop())
            return store._call(step)

        with pytest.raises(KeyboardInterrupt):
            run(call, claim.take(key, None))

        assert [] == waiting
        assert not store.exists(key)

    def test_answer_to_the_claim_is_lost_and_somebody_else_has_it(self, store, key):
        """It stays with him."""

        def call(step):
            if b'"op":"create"' in step.request:
                raise KeyboardInterrupt
            return store._call(step)

        assert run(store._call, claim.take(key, None))
        with pytest.raises(KeyboardInterrupt):
            run(call, claim.take(key, None))

        assert store.exists(key)

    def test_steps_that_nobody_takes_to_their_end(self, store, prefix):
        """As of a loop that ends: the claim is given up beside."""
        beside = []
        steps = computing.Computing("x", None, 0, None, beside.append, None).get(f"{prefix}x", None)
        step = next(steps)
        while isinstance(step, calls.Call):
            try:
                step = steps.send(store._call(step))
            except KeyError as error:
                step = steps.throw(error)
        assert 1 == store.count(prefix)
        steps.close()
        for each in beside:
            run(store._call, each)

        assert 0 == store.count(prefix)

    def test_daemon_goes_away_while_it_is_computed(self, start_daemon, prefix):
        """The caller is told so; when the daemon is there again the claim is given up, though the process lives."""
        daemon = start_daemon()
        with Client(daemon.endpoint, timeout=0.5) as store, Client(daemon.endpoint) as other:
            counted = Counted(store, prefix, lambda _x: daemon.kill())
            with pytest.raises(DataStoreError):
                counted.memo()
            daemon.start()
            wait_until(lambda: other.count(prefix) == 0)

            assert 0 == Counted(other, prefix, lambda x: x).memo()
            assert [0] == counted.runs

    def test_claim_that_is_nobodys(self, store, prefix):
        """As in a store that was imported: no end of a process would remove it, and it holds nobody up."""
        counted = Counted(store, prefix)
        store.create(f"{counted.memo.key()}#computing", {"mark": "0123456789abcdef"})

        assert [0] == counted.memo()

    def test_asking_for_what_it_computes(self, store, prefix):
        """RuntimeError, where it would wait for itself; the claim is given up."""
        counted = Counted(store, prefix, lambda x: [counted.memo(x)])

        with pytest.raises(RuntimeError, match="asks for the very value that it is computing"):
            counted.memo(1)
        assert 0 == store.count(prefix)

    def test_asking_for_its_other_values(self, store, prefix):
        """A recursive function."""
        counted = Counted(store, prefix, lambda x: x and x + counted.memo(x - 1))

        assert 55 == counted.memo(10)
        assert 45 == counted.memo(9)
        assert list(range(10, -1, -1)) == counted.runs

    def test_waiting_for_another_of_its_values(self, store, prefix):
        """Which somebody else computes: that is no asking for its own."""
        two = threading.Event()

        def result(x):
            return counted.memo(2) if x == 1 else two.wait(30)

        counted = Counted(store, prefix, result)
        before = watchers(store)
        second = in_threads(1, lambda: counted.memo(2))
        assert counted.asked.acquire(timeout=30)
        first = in_threads(1, lambda: counted.memo(1))
        wait_until(lambda: watchers(store) - before == 1)
        two.set()

        assert [[True], [True]] == [first.join(), second.join()]


class TestRefreshAndForget:
    def test_refresh(self, store, prefix):
        """It is computed anew, kept, and returned."""
        counted = Counted(store, prefix, lambda _x: len(counted.runs))
        counted.memo()

        assert [2, 2] == [counted.memo.refresh(), counted.memo()]

    def test_others_get_the_old_value_until_the_new_one_is_there(self, store, prefix):
        """A refresh holds nobody up."""
        counted = Counted(store, prefix, lambda _x: len(counted.runs))
        counted.memo()
        counted.let_go.clear()
        thread = in_threads(1, counted.memo.refresh)
        wait_until(lambda: len(counted.runs) == 2)

        assert 1 == counted.memo()
        counted.let_go.set()
        assert [2] == thread.join()
        assert 2 == counted.memo()

    def test_refresh_waits_for_a_computation(self, store, prefix):
        """And computes then: what was begun before it was asked may be too old."""
        counted = Counted(store, prefix, lambda _x: len(counted.runs))
        counted.let_go.clear()
        before = watchers(store)
        first = in_threads(1, counted.memo)
        assert counted.asked.acquire(timeout=30)
        second = in_threads(1, counted.memo.refresh)
        wait_until(lambda: watchers(store) - before == 1)
        counted.let_go.set()

        assert [1] == first.join()
        assert [2] == second.join()

    def test_refresh_that_raises(self, store, prefix):
        """The old value stays."""
        counted = Counted(store, prefix)
        counted.memo()
        counted.result = lambda _x: 1 // 0

        with pytest.raises(ZeroDivisionError):
            counted.memo.refresh()
        assert [0] == counted.memo()

    def test_forget(self, store, prefix):
        """The value of one call; whether there was one."""
        counted = Counted(store, prefix)
        counted.memo(1), counted.memo(2)

        assert [True, False] == [counted.memo.forget(1), counted.memo.forget(x=1)]
        counted.memo(1), counted.memo(2)
        assert [1, 2, 1] == counted.runs

    @pytest.mark.parametrize("forget", ["forget", "forget_all"])
    def test_forget_what_is_being_computed(self, store, prefix, forget):
        """Its caller gets it and it is not kept; who waits computes anew, at once."""
        counted = Counted(store, prefix, lambda _x: len(counted.runs))
        counted.let_go.clear()
        before = watchers(store)
        first = in_threads(1, counted.memo)
        assert counted.asked.acquire(timeout=30)
        second = in_threads(1, counted.memo)
        wait_until(lambda: watchers(store) - before == 1)
        getattr(counted.memo, forget)()
        assert counted.asked.acquire(timeout=30)
        counted.let_go.set()

        assert [[2], [2]] == [first.join(), second.join()]  # both had begun
        assert 2 == counted.memo()
        assert [counted.memo.key()] == list(store.list(prefix))

    def test_what_was_forgotten_does_not_come_back(self, store, prefix):
        """The result of a computation that had begun before is not stored."""
        counted = Counted(store, prefix, lambda x: [counted.memo.forget(x)])

        assert [False] == counted.memo()
        assert 0 == store.count(prefix)

    def test_forget_all(self, store, prefix):
        """All calls of this function, and of no other."""
        counted = Counted(store, prefix)

        @store.memoize(prefix=prefix)
        def counted_more(x):
            return x

        counted.memo(1), counted.memo("x" * 1000), counted_more(1)
        counted.memo.forget_all()

        assert [counted_more.key(1)] == list(store.list(prefix))


class TestEarly:
    @pytest.fixture
    def store(self, directory, clock, monkeypatch):
        """A store, and a recipe, whose clock is moved by hand; a computation takes 10 seconds."""
        monkeypatch.setattr(computing, "time", SimpleNamespace(time=clock, monotonic=clock))
        with LocalDataStore(directory / "local.json", clock=clock) as store:
            yield store

    @pytest.fixture
    def chance(self, monkeypatch):
        """The middle of the chances: a value is due when less than ln 2 of its time to compute is left."""
        monkeypatch.setattr(computing.random, "random", lambda: 0.5)

    @pytest.fixture
    def counted(self, store, clock, prefix):
        def result(_x):
            clock.now += 10
            return len(counted.runs)

        counted = Counted(store, prefix, result, ttl=100, early=1)
        return counted

    @pytest.mark.parametrize(("early", "left"), [(1, 6.93), (3, 20.79), (0.1, 0.693)])
    @pytest.mark.usefixtures("chance")
    def test_computed_before_it_expires(self, store, clock, prefix, early, left):
        """When the time that is left is less than what it took, times `early`, times the logarithm of a chance."""

        def result(_x):
            clock.now += 10
            return len(counted.runs)

        counted = Counted(store, prefix, result, ttl=100, early=early)
        counted.memo()
        clock.now += 100 - left - 0.01
        assert 1 == counted.memo()
        clock.now += 0.02
        assert 2 == counted.memo()
        assert clock.now + 100 == store.entry(counted.memo.key()).expires_at

    @pytest.mark.usefixtures("chance")
    def test_not_without_early(self, store, clock, prefix):
        """It lives its whole time."""
        counted = Counted(store, prefix, ttl=100)
        counted.memo()
        clock.now += 99.99
        counted.memo()

        assert [0] == counted.runs

    @pytest.mark.usefixtures("chance")
    def test_others_get_the_old_value_meanwhile(self, counted, clock):
        """One computes early, and nobody waits."""
        counted.memo()
        clock.now += 95
        counted.let_go.clear()
        thread = in_threads(1, counted.memo)
        wait_until(lambda: len(counted.runs) == 2)

        assert [1, 1] == [counted.memo(), counted.memo()]
        counted.let_go.set()
        assert [2] == thread.join()
        assert [0, 0] == counted.runs

    @pytest.mark.usefixtures("chance")
    def test_who_finds_it_due_and_comes_late(self, store, counted, clock):
        """Renewed between his look and his claim: he takes the new value."""
        counted.memo()
        clock.now += 95
        renewed = []

        def call(step):
            answer = store._call(step)
            if not renewed:
                renewed.append(step)
                counted.memo.refresh()
            return answer

        late = computing.Computing("late", 100, 1, None, None, None)

        assert 2 == run(call, late.get(counted.memo.key(), lambda: pytest.fail("computed twice")))
        assert 1 == store.count()

    @pytest.mark.usefixtures("chance")
    def test_one_that_raises(self, store, counted, clock, caplog):
        """The old value is returned, since it is good still; a warning tells of it. When it has expired, it raises."""
        counted.memo()
        counted.result = lambda x: 1 // x
        clock.now += 95

        with caplog.at_level(logging.WARNING):
            assert 1 == counted.memo()
        assert "raised when it was computed early" in caplog.text
        assert "ZeroDivisionError" in caplog.text
        assert [counted.memo.key()] == list(store.list())
        clock.now += 5
        with pytest.raises(ZeroDivisionError):
            counted.memo()

    @pytest.mark.usefixtures("chance")
    def test_one_that_is_interrupted(self, counted, clock):
        """Ctrl-C is Ctrl-C."""

        def interrupted(_x):
            raise KeyboardInterrupt

        counted.memo()
        counted.result = interrupted
        clock.now += 95

        with pytest.raises(KeyboardInterrupt):
            counted.memo()


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "error", "said"),
        [
            ({"ttl": 0}, InvalidTTLError, "above 0"),
            ({"early": -1, "ttl": 1}, ValueError, "from 0 on"),
            ({"early": True, "ttl": 1}, ValueError, "from 0 on"),
            ({"early": float("nan"), "ttl": 1}, ValueError, "from 0 on"),
            ({"early": 1}, ValueError, "needs a ttl"),
            ({"key": "x"}, TypeError, "key= is a function"),
            ({"key": len, "ignore": "x"}, ValueError, "nothing to ignore"),
            ({"ignore": "y"}, ValueError, "has no argument 'y' to ignore; it has x"),
            ({"ignore": [1]}, ValueError, "has no argument 1"),
            ({"prefix": "\n"}, ValueError, "control character"),
        ],
    )
    def test_options_that_cannot_be(self, store, prefix, options, error, said):
        """Where the function is decorated, not where it is called."""
        with pytest.raises(error, match=said):
            Counted(store, **{"prefix": prefix, **options})

    def test_what_is_no_function(self, store):
        """Neither a lambda nor what has no name, is async, or yields."""

        async def waits():
            pass

        def yields():
            yield

        for function, said in [
            (lambda: 0, "A lambda cannot be memoized"),
            (7, "Only a function"),
            (classmethod(len), "@classmethod, @staticmethod and @property go above"),
            (waits, "AsyncClient.memoize is for async functions"),
            (yields, "return a list"),
        ]:
            with pytest.raises(TypeError, match=said):
                store.memoize(function)

    def test_result_that_is_not_json(self, store, prefix):
        """The error names the function and says what to return; nothing is kept, not even the claim."""
        counted = Counted(store, prefix, lambda x: {x})

        with pytest.raises(InvalidValueError, match=r"What .*counted\(\) returned cannot be stored.*list\(value\)"):
            counted.memo()
        assert 0 == store.count(prefix)

    def test_result_that_does_not_fit_its_type(self, store, prefix):
        """The error names the function."""
        counted = Counted(store, prefix, as_=list[str])

        with pytest.raises(InvalidValueError, match=r"What .*counted\(\) returned cannot be stored.*valid string"):
            counted.memo()

    def test_result_that_is_too_large(self, directory, prefix):
        """The error names the function and the limit."""
        with LocalDataStore(directory / "local.json", max_value_bytes=1000) as store:
            counted = Counted(store, prefix, lambda _x: "x" * 1000)

            with pytest.raises(ValueTooLargeError, match=r"What .*counted\(\) returned.*max_value_bytes"):
                counted.memo()
            assert 0 == store.count(prefix)

    def test_no_daemon(self, directory, prefix):
        """The function is not called: what is to be computed once would be computed by all."""
        with Client(f"ipc://{directory}/nobody.sock", timeout=0.2, autostart=False) as store:
            counted = Counted(store, prefix)

            with pytest.raises(ConnectionError, match="No daemon listens"):
                counted.memo()
            assert [] == counted.runs


class TestFunction:
    def test_looks_as_the_function_does(self, store, prefix):
        """Name, docstring, signature."""
        memo = Counted(store, prefix).memo

        assert ("counted", "Return a list of x.") == (memo.__name__, memo.__doc__)
        assert 1 == memo.__wrapped__(1)[0]
        assert "<memoized <function" in repr(memo)

    def test_without_parentheses(self, store):
        """`@store.memoize` keeps for ever."""

        @store.memoize
        def double(x):
            return 2 * x

        try:
            assert [4, 4] == [double(2), double(2)]
            assert store.entry(double.key(2)).expires_at is None
        finally:
            double.forget_all()

    def test_methods(self, store, prefix):
        """Bound to their instance, which is an argument as any other: ignored, or told apart by key=."""

        class Source:
            def __init__(self, number):
                self.number = number

            @store.memoize(prefix=prefix, ignore="self")
            def shared(self, x):
                return [self.number, x]

            @store.memoize(prefix=prefix, key=lambda self, x: [self.number, x])
            def own(self, x):
                return [self.number, x]

            @store.memoize(prefix=prefix)
            def refused(self, x):
                return x

        one, two = Source(1), Source(2)

        assert [[1, 5], [1, 5]] == [one.shared(5), two.shared(5)]
        assert [[1, 5], [2, 5]] == [one.own(5), two.own(5)]
        assert [2, 5] == two.shared.refresh(5)
        assert [2, 5] == one.shared(5)
        assert one.own.forget(5)
        assert Source.shared.key(one, 5) == Source.shared.key(self=one, x=5) == one.shared.key(5)
        with pytest.raises(TypeError, match=r"argument 'self' cannot be part of a key: .*ignore=\('self',\)"):
            one.refused(5)

    def test_pickled_by_name(self):
        """As functions are, so that multiprocessing can be given one; and as methods are."""
        assert pickle.loads(pickle.dumps(memoized)) is memoized
        assert memoized.key(1) == pickle.loads(pickle.dumps(memoized)).key(1)
        assert 7 == pickle.loads(pickle.dumps(Numbered().method))._first[0].number


_unused = Client("ipc:///nowhere/kvd.sock", autostart=False)


@_unused.memoize
def memoized(x):
    return x


class Numbered:
    number = 7

    @_unused.memoize(ignore="self")
    def method(self, x):
        return x
