"""list: keys in their order, page by page."""

from typing import Annotated, Literal

from pydantic import Field

from kvclient.contract.operations.declaration import EntryFields, Page, Prefix, Reply, Request


class ListReply(Reply):
    """The reply to list."""

    entries: list[EntryFields]
    more: Annotated[bool, Field(description="Whether keys follow; ask again with `after` the last key of this page.")]


class List(Request):
    """Return a page of the keys that begin with `prefix`, in the order of their code points.

    A page is one moment. A key that exists all the while is on exactly one page. With `values` a page may end early,
    so that a reply keeps to a few MiB.
    """

    does = "read"
    needs = ("read",)
    concerns = "prefix"
    reply = ListReply

    op: Literal["list"]
    prefix: Prefix = ""
    after: Annotated[str, Field(description="Only keys behind this one.")] = ""
    limit: Page = 1000
    values: bool = False
