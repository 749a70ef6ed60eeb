"""Steps for asyncio: what a cancellation does to the call that is under way."""

import asyncio

import pytest

from kvclient.contract import calls
from kvclient.recipes.steps import ask, run_async


def recipe(cleaned_up):
    try:
        yield from ask(calls.put("key", 1))
    except asyncio.CancelledError:
        yield from ask(calls.delete("key"))
        cleaned_up.append("key")
        raise


class SlowStore:
    """A store that carries a change out when it is told to."""

    def __init__(self):
        self.begun, self.ended = [], []
        self.go_on = asyncio.Event()

    async def call(self, call):
        self.begun.append(call.request[:12])
        await self.go_on.wait()
        self.ended.append(call.request[:12])


def test_a_cancelled_change_ends_before_what_cleans_up_after_it():
    """A put behind its delete would stay for good."""

    async def main():
        store, cleaned_up = SlowStore(), []
        task = asyncio.create_task(run_async(store.call, recipe(cleaned_up)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert [b'{"op":"put",'] == store.begun
        store.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [b'{"op":"put",', b'{"op":"delet'] == store.ended
        assert ["key"] == cleaned_up

    asyncio.run(main())


def test_cancelled_twice_it_does_not_wait():
    """Who really wants to leave leaves."""

    async def main():
        store = SlowStore()
        task = asyncio.create_task(run_async(store.call, recipe([])))
        for _ in range(3):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
        for _ in range(4):
            await asyncio.sleep(0)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [] == store.ended

    asyncio.run(main())
