"""Memoized async functions: what those of threads do, for tasks."""

import asyncio
import inspect
import sys
import threading

import pytest

from kvclient import AsyncClient, Client
from processes import wait_until


@pytest.fixture
def blocking(daemon):
    with Client(daemon.endpoint) as blocking:
        yield blocking


@pytest.fixture
def within(daemon):
    """Run `main(store)` in an event loop."""

    def within(main):
        async def run():
            async with AsyncClient(daemon.endpoint) as store:
                return await asyncio.wait_for(main(store), 60)

        return asyncio.run(run())

    return within


class Counted:
    """An async function that notes its runs, and the memoized one."""

    def __init__(self, store, result=lambda x: [x], **options):
        self.runs = []
        self.result = result
        self.let_go = asyncio.Event()

        @store.memoize(prefix="memo:", **options)
        async def counted(x=0):
            self.runs.append(x)
            await self.let_go.wait()
            return self.result(x)

        self.memo = counted


async def until(condition):
    """Poll until `condition()`, which is awaited, is true."""
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110  # what it waits for happens in the daemon
            await asyncio.sleep(0.01)


async def one_waits(store):
    """Return when one watch waits at the daemon."""

    async def waits():
        return (await store.stats())["watchers"] == 1

    await until(waits)


class TestOnce:
    def test_a_thousand_tasks(self, within):
        """One computes, and the others wait, with one connection for all; then they have its value."""

        async def main(store):
            counted = Counted(store)
            tasks = [asyncio.create_task(counted.memo(1)) for _ in range(1000)]
            await one_waits(store)
            for _ in range(10):  # more of them come to wait
                assert (await store.stats())["watchers"] == 1
            counted.let_go.set()
            return await asyncio.gather(*tasks), counted.runs

        assert ([[1]] * 1000, [1]) == within(main)

    def test_with_tasks_of_another_loop(self, daemon, within):
        """Of a client of its own, as of another process: computed once."""

        async def main(store):
            counted = Counted(store)

            async def elsewhere():
                async with AsyncClient(daemon.endpoint) as other:
                    return await Counted(other).memo(1)

            task = asyncio.create_task(counted.memo(1))
            await until(lambda: store.exists(counted.memo.key(1) + "#computing"))
            thread = asyncio.create_task(asyncio.to_thread(asyncio.run, elsewhere()))
            await one_waits(store)
            counted.let_go.set()
            return await task, await thread, counted.runs

        assert ([1], [1], [1]) == within(main)

    def test_in_one_loop_after_the_other(self, daemon):
        """What one loop has kept the next one has."""
        store = AsyncClient(daemon.endpoint)
        runs = []

        @store.memoize
        async def double(x):
            runs.append(x)
            return 2 * x

        assert [4, 4] == [asyncio.run(double(2)), asyncio.run(double(2))]
        assert [2] == runs


class TestHandsOver:
    @pytest.mark.parametrize("how", ["raises", "cancelled"])
    def test_one_who_does_not_finish(self, within, how):
        """One of those who wait computes at once, and all others get its value."""

        async def main(store):
            counted = Counted(store)
            first = asyncio.create_task(counted.memo())
            await until(lambda: store.exists(counted.memo.key() + "#computing"))
            others = [asyncio.create_task(counted.memo()) for _ in range(4)]
            await one_waits(store)
            if how == "raises":
                counted.result = lambda _x: 1 // (len(counted.runs) - 1)
                counted.let_go.set()
                with pytest.raises(ZeroDivisionError):
                    await first
            else:
                first.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await first
                counted.result = lambda _x: 1
                counted.let_go.set()
            return await asyncio.gather(*others), counted.runs, await store.count()

        assert ([1] * 4, [0, 0], 1) == within(main)

    def test_the_task_that_waits_for_all_is_cancelled(self, within):
        """Another one waits in its place."""

        async def main(store):
            counted = Counted(store)
            first = asyncio.create_task(counted.memo())
            await until(lambda: store.exists(counted.memo.key() + "#computing"))
            waiting = asyncio.create_task(counted.memo())
            await one_waits(store)
            others = [asyncio.create_task(counted.memo()) for _ in range(4)]
            await store.ping()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await one_waits(store)
            counted.let_go.set()
            return await asyncio.gather(first, *others), counted.runs

        assert ([[0]] * 5, [0]) == within(main)

    def test_cancelled_at_any_moment(self, within):
        """Whatever it was at, no claim is left: the next one computes or has the value."""

        async def main(store):
            counted = Counted(store)
            counted.let_go.set()
            for moment in range(60):
                task = asyncio.create_task(counted.memo(moment))
                for _ in range(moment // 2):
                    await asyncio.sleep(0)
                    if moment > 20:
                        await asyncio.sleep(0.0001)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert [moment] == await counted.memo(moment)
            return await store.count()

        assert 60 == within(main)

    def test_a_loop_that_ends(self, daemon, blocking):
        """`asyncio.run` cancels what is under way: the claim is given up, though the process lives."""
        started = threading.Event()

        async def main():
            store = AsyncClient(daemon.endpoint)
            counted = Counted(store, lambda _x: None)
            task = asyncio.create_task(counted.memo())
            await until(lambda: store.exists(counted.memo.key() + "#computing"))
            started.set()
            return task

        asyncio.run(main())

        assert started.is_set()
        wait_until(lambda: blocking.count() == 0)

    def test_a_task_that_began_within_a_computation(self, within):
        """It may ask for the value when that is over, and waits as any other."""

        async def main(store):
            later, tasks = asyncio.Event(), []

            async def ask_later():
                await later.wait()
                return await counted.memo()

            counted = Counted(store, lambda _x: tasks.append(asyncio.create_task(ask_later())))
            counted.let_go.set()
            await counted.memo()
            await counted.memo.forget()
            counted.let_go.clear()
            counted.result = lambda _x: "anew"
            tasks.append(asyncio.create_task(counted.memo()))
            await until(lambda: store.exists(counted.memo.key() + "#computing"))
            later.set()
            await one_waits(store)
            counted.let_go.set()
            return await asyncio.gather(*tasks)

        assert ["anew", "anew"] == within(main)


class TestAsForThreads:
    def test_refresh_and_forget(self, within):
        """The same methods, to be awaited."""

        async def main(store):
            counted = Counted(store, lambda _x: len(counted.runs))
            counted.let_go.set()
            found = [await counted.memo(), await counted.memo.refresh(), await counted.memo()]
            found += [await counted.memo.forget(), await counted.memo.forget(), await counted.memo(5)]
            await counted.memo.forget_all()
            return found, await store.count()

        assert ([1, 2, 2, True, False, 3], 0) == within(main)

    def test_early(self, within):
        """One computes early, and the others get the old value meanwhile."""

        async def main(store):
            counted = Counted(store, lambda _x: len(counted.runs), ttl=1000, early=1e12)
            counted.let_go.set()
            first = await counted.memo()
            counted.let_go.clear()
            task = asyncio.create_task(counted.memo())
            await until(lambda: store.exists(counted.memo.key() + "#computing"))
            meanwhile = [await counted.memo() for _ in range(3)]
            counted.let_go.set()
            return first, meanwhile, await task

        assert (1, [1, 1, 1], 2) == within(main)

    def test_methods(self, within):
        """Bound to their instance."""

        async def main(store):
            class Source:
                @store.memoize(ignore="self")
                async def double(self, x):
                    return [type(self).__name__, 2 * x]

            return await Source().double(2), await Source().double.refresh(2)

        assert (["Source", 4], ["Source", 4]) == within(main)

    def test_functions_that_are_not_async(self, daemon):
        """TypeError that says whose memoize takes them."""
        with pytest.raises(TypeError, match=r"is no async function: .* Client.memoize a `def`"):
            AsyncClient(daemon.endpoint).memoize(lambda: 0)

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 and newer let an object say that it is one")
    def test_is_a_coroutine_function(self, daemon):
        """For frameworks that ask."""

        @AsyncClient(daemon.endpoint).memoize
        async def double(x):
            return 2 * x

        assert inspect.iscoroutinefunction(double)
