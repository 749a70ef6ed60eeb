"""Lists and watches for asyncio. What to ask for next is decided by `contract.listing` and `contract.watching`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self

from kvclient.contract.calls import Call
from kvclient.contract.listing import Listing
from kvclient.contract.records import Entry, Event
from kvclient.contract.results import Page, Told
from kvclient.contract.watching import Watching


async def entries(ask: Callable[[Call[Page]], Awaitable[Page]], listing: Listing) -> AsyncIterator[Entry]:
    """Yield all entries of a list; each page is asked for when it is needed."""
    while listing.more:
        for entry in listing.take(await ask(listing.call())):
            yield entry


class AsyncWatch(AsyncIterator[Event]):
    """The events of a watch, as they come. See `contract.watching.Watch`, which is the same for threads.

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
