"""The lock for asyncio: one with that of threads, and a cancelled task leaves no ticket."""

import asyncio

import pytest

from kvclient import AsyncClient, Client, LockHeldError
from processes import wait_until


@pytest.fixture
def store(shared_daemon):
    with Client(shared_daemon.endpoint) as store:
        yield store


def tickets(store, name):
    return store.count(f"lock:{name}#")


async def eventually(condition):
    await asyncio.to_thread(wait_until, condition)


def run(daemon, main):
    """Run `main(client)` in an event loop."""

    async def within():
        async with AsyncClient(daemon.endpoint, timeout=30) as store:
            await main(store)

    asyncio.run(within())


def test_it_is_the_lock_that_threads_have(shared_daemon, store, key):
    """Who holds it there holds it here; the fencing number rises."""

    async def main(client):
        async with client.lock(key) as lock:
            first = lock.revision
            assert await lock.locked()
            assert not store.lock(key).acquire(wait=0)
        assert not await lock.locked()
        with store.lock(key) as held:
            assert held.revision > first
            with pytest.raises(LockHeldError, match="held by pid"):
                async with client.lock(key, wait=0.01):
                    pytest.fail("two hold it")
            assert not await client.lock(key, wait=0).acquire()
        assert 0 == tickets(store, key)

    run(shared_daemon, main)


def test_tasks_get_it_first_come_first_served(shared_daemon, store, key):
    """One at a time."""
    order = []

    async def work(client, number):
        async with client.lock(key):
            order.append(number)
            await asyncio.sleep(0)
            assert number == order[-1]

    async def main(client):
        async with client.lock(key):
            tasks = []
            for number in range(5):
                tasks.append(asyncio.create_task(work(client, number)))
                await eventually(lambda number=number: tickets(store, key) == number + 2)
        await asyncio.gather(*tasks)

    run(shared_daemon, main)

    assert [0, 1, 2, 3, 4] == order


def test_semaphore(shared_daemon, key):
    """Of three tasks two hold it."""

    async def main(client):
        semaphore = client.semaphore(key, 2, wait=0)
        async with semaphore, client.semaphore(key, 2, wait=0):
            assert not await semaphore.acquire()
        async with semaphore:
            pass

    run(shared_daemon, main)


def test_reentrant_for_its_task(shared_daemon, store, key):
    """And for no other one."""

    async def main(client):
        async with client.lock(key, reentrant=True) as outer:
            async with client.lock(key, reentrant=True) as inner:
                assert inner.revision == outer.revision
            assert not await asyncio.create_task(outer.acquire(wait=0))
            with pytest.raises(RuntimeError, match="not held by this"):
                await asyncio.create_task(outer.release())
            assert 1 == tickets(store, key)
        assert 0 == tickets(store, key)

    run(shared_daemon, main)


def test_a_task_that_is_cancelled_while_it_waits_leaves_the_line(shared_daemon, store, key):
    """Its ticket is gone when the task is."""

    async def main(client):
        async with client.lock(key):
            waiting = asyncio.create_task(client.lock(key).acquire())
            await eventually(lambda: tickets(store, key) == 2)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert 1 == tickets(store, key)

    run(shared_daemon, main)


def test_a_task_that_is_cancelled_at_any_moment_leaves_no_ticket(shared_daemon, store, key):
    """From before it asks until it holds the lock, free or not."""

    async def main(client):
        for moment in range(120):
            async with client.lock(f"{key}-taken"):
                for name in (key, f"{key}-taken"):
                    task = asyncio.create_task(client.lock(name).acquire())
                    for _ in range(moment):
                        await asyncio.sleep(0)
                    task.cancel()
                    try:
                        held = await task
                    except asyncio.CancelledError:
                        held = False
                    assert (1 if held or name != key else 0) == tickets(store, name)
                    store.clear(f"lock:{key}#")

    run(shared_daemon, main)
