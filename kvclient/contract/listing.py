"""Going through many keys page by page: which page to ask for next. Decides, and leaves the asking to the faces."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from kvclient.contract import calls
from kvclient.contract.arguments import whole_field
from kvclient.contract.calls import Call
from kvclient.contract.records import Entry
from kvclient.contract.results import Page

PAGE_ENTRIES = 1000
"""Entries in a page, at most: a page of keys is some tens of KiB and takes the daemon a millisecond."""


class Listing:
    """A list that is being gone through.

    While `more`, the answer to `call()` goes to `take`. A key that exists all the while is told exactly once, because
    each page begins behind the last key of the one before it.
    """

    def __init__(self, prefix: str, after: str, limit: int | None, *, values: bool, as_: Any = None) -> None:
        """Begin behind the key `after`. Values come as objects of type `as_`, if that is given.

        Raises `InvalidKeyError` or `RequestError` for what cannot be asked for.
        """
        whole_field("limit", limit)
        self._as = as_
        self._prefix, self._after, self._left, self._values = prefix, after, limit, values
        self.more = limit != 0
        """Whether there may be entries that were not told yet."""
        self.call()

    def call(self) -> Call[Page]:
        """Return the call for the next page."""
        entries = PAGE_ENTRIES if self._left is None else min(self._left, PAGE_ENTRIES)
        page = calls.page(self._prefix, self._after, max(1, entries), values=self._values)
        return calls.typed(page, self._as)

    def take(self, page: Page) -> list[Entry]:
        """Note a page, and return its entries."""
        if self._left is not None:
            self._left -= len(page.entries)
        self.more = page.more and bool(page.entries) and self._left != 0
        if page.entries:
            self._after = page.entries[-1].key
        return page.entries


def entries(ask: Callable[[Call[Page]], Page], listing: Listing) -> Iterator[Entry]:
    """Yield all entries of a list; each page is asked for when it is needed."""
    while listing.more:
        yield from listing.take(ask(listing.call()))


async def entries_async(ask: Callable[[Call[Page]], Awaitable[Page]], listing: Listing) -> AsyncIterator[Entry]:
    """Yield all entries of a list; each page is asked for when it is needed."""
    while listing.more:
        for entry in listing.take(await ask(listing.call())):
            yield entry
