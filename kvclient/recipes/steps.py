"""A recipe as steps: what it asks of a store, one call after the other, for those who block and those who await.

A recipe decides; who runs it does the asking. It is a generator that yields calls and pauses, and gets back what each
call comes to, or the error that it raised. So a lock is written once and is there for threads and for asyncio:

    def _take(self) -> Steps[int]:
        revision = yield from ask(calls.create("job", None))
        yield from pause(0.5)
        return revision

What a user gave to the recipe to run, such as a function to memoize, is a step as well: `yield Work(function)`.

An interruption (`KeyboardInterrupt`, a cancelled task) is raised in the recipe where it waits, as any error is. What
the recipe still asks for then, to clean up, is carried out.

A cancelled change is first awaited to its end: else it might still be under way, behind what cleans up after it.
"""

import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, NamedTuple, TypeAlias, TypeVar

from kvclient.contract.calls import Call

T = TypeVar("T")


class Pause(NamedTuple):
    """A step that waits."""

    seconds: float


class Work(NamedTuple):
    """A step that calls a function of the user's, and awaits what it returns where the steps are awaited."""

    function: Callable[[], Any]


Steps: TypeAlias = Generator[Call[Any] | Pause | Work, Any, T]
"""Steps that come to a T."""


def ask(call: Call[T]) -> Steps[T]:
    """Have a call carried out, and return what it comes to."""
    answer: T = yield call
    return answer


def pause(seconds: float) -> Steps[None]:
    """Wait for so many seconds."""
    yield Pause(seconds)


def run(call: Callable[[Call[Any]], Any], steps: Steps[T]) -> T:
    """Take the steps in this thread, with `call` for those that ask, and return what they come to."""
    try:
        step = next(steps)
        while True:
            try:
                answer = None
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                elif isinstance(step, Work):
                    answer = step.function()
                else:
                    answer = call(step)
            except BaseException as error:  # noqa: BLE001  # raised in the recipe
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def run_async(call: Callable[[Call[Any]], Awaitable[Any]], steps: Steps[T]) -> T:
    """Take the steps in this task, with `call` for those that ask, and return what they come to."""
    import asyncio  # who awaits has it already; for the others it would double the time of a short script

    try:
        step = next(steps)
        while True:
            try:
                answer = None
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                elif isinstance(step, Work):
                    answer = await step.function()
                else:
                    answer = await (_to_the_end(call(step)) if step.changes else call(step))
            except BaseException as error:  # noqa: BLE001  # raised in the recipe
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def _to_the_end(change: Awaitable[T]) -> T:
    """Return what a change comes to. Cancelled, it ends first, unless it is cancelled once more."""
    import asyncio

    changing = asyncio.ensure_future(change)
    try:
        return await asyncio.shield(changing)
    except asyncio.CancelledError:
        try:
            await asyncio.wait([changing])
        except asyncio.CancelledError:
            changing.cancel()
        if not changing.cancelled() and changing.done():
            changing.exception()  # the caller is gone who would have been told
        raise
