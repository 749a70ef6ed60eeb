"""count: how many keys there are."""

from typing import Literal

from kvclient.contract.operations.declaration import Prefix, Reply, Request


class CountReply(Reply):
    """The reply to count."""

    count: int


class Count(Request):
    """Count the keys that begin with `prefix`, at one moment."""

    does = "read"
    needs = ("read",)
    concerns = "prefix"
    reply = CountReply

    op: Literal["count"]
    prefix: Prefix = ""
