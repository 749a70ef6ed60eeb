"""Async functions whose results are kept in the store. See `memoize`, which is the same for functions."""

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable
from os import getpid
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, overload

from kvclient.contract import calls
from kvclient.contract.calls import Call
from kvclient.recipes.computing import Failed
from kvclient.recipes.memoize import Memo, Options, refusal
from kvclient.recipes.steps import Steps, Work, run_async

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")


class AsyncMemoized(Memo[P, R]):
    """An async function whose results are kept in the store: what `Memoized` is for functions.

    A call that is cancelled while it computes hands over to one that waits.
    """

    def __init__(
        self, call: Callable[[Call[Any]], Awaitable[Any]], function: Callable[P, Awaitable[R]], options: Options
    ) -> None:
        """Memoize `function`, with `call` to ask the store."""
        if not inspect.iscoroutinefunction(function):
            raise TypeError(refusal(function, "AsyncClient.memoize takes an `async def`; Client.memoize a `def`."))
        super().__init__(function, options)
        self._call = call
        self._tasks: set[asyncio.Task[None]] = set()
        self._waits: dict[tuple[int, asyncio.AbstractEventLoop, str], asyncio.Event] = {}
        if sys.version_info >= (3, 12):
            inspect.markcoroutinefunction(self)

    async def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the kept value of this call; see `Memoized`."""
        return await self._outcome(self._recipe.get(self.key(*args, **kwargs), self._compute(args, kwargs)))

    async def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compute the value of this call anew; see `Memoized.refresh`."""
        return await self._outcome(self._recipe.refresh(self.key(*args, **kwargs), self._compute(args, kwargs)))

    async def forget(self, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Delete the value of this call; see `Memoized.forget`."""
        return await run_async(self._call, self._recipe.forget(self.key(*args, **kwargs)))

    async def forget_all(self) -> None:
        """Delete the values of all calls; see `Memoized.forget_all`."""
        await self._call(calls.clear(self._keys.prefix))

    async def _outcome(self, steps: Steps[Any]) -> R:
        outcome = await run_async(self._call, steps)
        if isinstance(outcome, Failed):
            raise outcome.error
        value: R = outcome
        return value

    def _beside(self, steps: Steps[None]) -> None:
        try:
            task = asyncio.get_running_loop().create_task(run_async(self._call, steps))
        except RuntimeError:
            return  # the loop has ended: the claim is this process's until it ends
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _together(self, key: str, steps: Steps[None]) -> Steps[None]:
        """Wait for a key, one task for all of this loop: thousands may, and each would take a connection."""
        place = getpid(), asyncio.get_running_loop(), key
        if (event := self._waits.get(place)) is not None:
            yield Work(event.wait)
            return
        event = self._waits[place] = asyncio.Event()
        try:
            yield from steps
        finally:
            del self._waits[place]
            event.set()

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: "AsyncMemoized[Concatenate[Any, Q], R]", instance: object, owner: type | None = None
    ) -> "AsyncMemoized[Q, R]": ...
    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        return self if instance is None else self._bound_to(instance)
