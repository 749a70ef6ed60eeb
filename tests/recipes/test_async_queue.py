"""The queue for asyncio: one with that of threads, and a cancelled task has taken nothing."""

import asyncio
import queue as standard

import pytest

from kvclient import AsyncClient, Client
from processes import wait_until


@pytest.fixture
def store(shared_daemon):
    with Client(shared_daemon.endpoint) as store:
        yield store


def run(daemon, main):
    """Run `main(client)` in an event loop."""

    async def within():
        async with AsyncClient(daemon.endpoint, timeout=30) as client:
            await main(client)

    asyncio.run(within())


def test_it_is_the_queue_that_threads_have(shared_daemon, store, key):
    """What is put there is taken here, and the other way round."""

    async def main(client):
        queue, other = client.queue(key), store.queue(key)
        job_id = await queue.put("a")
        await queue.put_many(["b", "c"], priority=-1)
        await queue.put("later", delay=3600)
        assert (job_id, "a") == other.get(wait=0)[:2]
        job = await queue.get(wait=0)
        assert ("b", 4) == (job.value, await queue.size())
        await queue.give_back(await queue.next(job))
        assert "c" == other.get(wait=0).value
        with pytest.raises(standard.Empty):
            await queue.get(wait=0.01)

    run(shared_daemon, main)


def test_with_a_job(shared_daemon, key):
    """Done at the end; an exception counts, and makes a dead letter of it, which can be tried again."""

    async def main(client):
        queue = client.queue(key, max_deaths=1)
        await queue.put_many([1, 2])
        async with queue.job() as job:
            assert 1 == job.value
        with pytest.raises(ZeroDivisionError):
            async with queue.job() as job:
                _ = job.value / 0
        (dead,) = await queue.dead()
        assert (2, 0) == (dead.value, await queue.size())
        await queue.retry(dead)
        with pytest.raises(ZeroDivisionError):
            async with queue.job():
                _ = 1 / 0
        await queue.discard((await queue.dead())[0])
        assert [] == await queue.dead()

    run(shared_daemon, main)


def test_a_task_that_is_cancelled_at_work_gives_its_job_back(shared_daemon, store, key):
    """And that is no death of it."""

    async def main(client):
        queue = client.queue(key)
        await queue.put(1)
        at_work = asyncio.Event()

        async def work():
            async with queue.job():
                at_work.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await at_work.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        job = store.queue(key).get(wait=0)
        assert (1, 0) == (job.value, job.deaths)

    run(shared_daemon, main)


def test_a_task_waits_for_a_job(shared_daemon, store, key):
    """And is told of it."""

    async def main(client):
        task = asyncio.create_task(client.queue(key).get(wait=30))
        await asyncio.to_thread(wait_until, lambda: store.stats()["watchers"])
        store.queue(key).put("at last")
        assert "at last" == (await task).value

    run(shared_daemon, main)


def test_a_task_that_is_cancelled_at_any_moment_has_taken_none(shared_daemon, store, key):
    """Or it has it, and says so."""

    async def main(client):
        queue = client.queue(key)
        await queue.put(1)
        for moment in range(200):
            task = asyncio.create_task(queue.get())
            for _ in range(moment):
                await asyncio.sleep(0)
            task.cancel()
            try:
                job = await task
            except asyncio.CancelledError:
                job = store.queue(key).get(wait=0)
            assert (1, 0) == (job.value, job.deaths)
            await queue.give_back(job)

    run(shared_daemon, main)
