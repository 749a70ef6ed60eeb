"""Being told of changes: what a watch has told and what it asks for next, and the iterator over its events."""

import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Self

from kvclient.contract import calls
from kvclient.contract.calls import Call
from kvclient.contract.records import Event
from kvclient.contract.results import Told

POLL_SECONDS = 30.0
"""For so long the daemon holds back the answer where nothing changes. Long, since each answer wakes both sides."""


class Watching:
    """How far a watch has come. Decides, and leaves the asking to those who block or await.

    Every call asks for what came after the revision that the last answer told, so that nothing is missed or told twice,
    whatever becomes of calls and answers: one that got lost changes nothing here.
    """

    def __init__(self, prefix: str, after: int | None) -> None:
        self._prefix = prefix
        self._after = after
        self.events: deque[Event] = deque()
        """What was told and not handed out yet."""

    def first(self) -> Call[Told]:
        """Return the call that begins: it is answered at once, and from then on nothing is missed."""
        return calls.watch(self._prefix, self._after)

    def next(self, seconds: float = POLL_SECONDS) -> Call[Told]:
        """Return the call that waits for the next events, so many seconds at most."""
        return calls.watch(self._prefix, self._after, wait=min(seconds, POLL_SECONDS))

    def take(self, told: Told) -> None:
        """Note an answer."""
        self.events.extend(told.events)
        self._after = told.revision


class Watch(Iterator[Event]):
    """The events of a watch, as they come: `next` waits for one.

    Goes on through restarts of the daemon. If the daemon stays away, `next` raises what any call raises then; the next
    `next` goes on where it was. Not to be used by several threads at once.
    """

    def __init__(self, ask: Callable[[Call[Told]], Told], prefix: str, after: int | None) -> None:
        self._ask = ask
        self._watching = Watching(prefix, after)
        self._watching.take(ask(self._watching.first()))
        self._closed = False

    def __next__(self) -> Event:
        while not self._closed:
            if self._watching.events:
                return self._watching.events.popleft()
            self._watching.take(self._ask(self._watching.next()))
        raise StopIteration

    def within(self, seconds: float) -> Event | None:
        """Return the next event, or None if there is none within so many seconds. 0 looks at what is there already.

        >>> with store.watch("job:") as events:
        ...     events.within(0.01)
        """
        deadline = time.monotonic() + seconds
        while not self._closed and not self._watching.events:
            left = max(0.0, deadline - time.monotonic())
            self._watching.take(self._ask(self._watching.next(left)))
            if left <= 0:
                break
        return self._watching.events.popleft() if self._watching.events else None

    def told(self) -> list[Event]:
        """Return the events that are here, without waiting for more. They do not come again.

        >>> with store.watch("job:") as events:
        ...     events.told()
        []
        """
        events = list(self._watching.events)
        self._watching.events.clear()
        return events

    def close(self) -> None:
        """End the iteration. A `next` that waits in another thread ends with its poll, half a minute later at most.

        >>> events = store.watch("job:")
        >>> events.close()
        >>> list(events)
        []
        """
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncWatch(AsyncIterator[Event]):
    """The events of a watch, as they come. See `Watch`, which is the same for threads.

    A wait for the next event that is cancelled leaves nothing behind: to wait once more goes on where it was. To be
    used by one task at a time.
    """

    def __init__(self, ask: Callable[[Call[Told]], Awaitable[Told]], watching: Watching) -> None:
        self._ask = ask
        self._watching = watching
        self._closed = False

    @classmethod
    async def begin(cls, ask: Callable[[Call[Told]], Awaitable[Told]], prefix: str, after: int | None) -> Self:
        """Return a watch from which on nothing is missed."""
        watching = Watching(prefix, after)
        watching.take(await ask(watching.first()))
        return cls(ask, watching)

    async def __anext__(self) -> Event:
        while not self._closed:
            if self._watching.events:
                return self._watching.events.popleft()
            self._watching.take(await self._ask(self._watching.next()))
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iteration."""
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
