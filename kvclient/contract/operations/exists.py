"""exists: whether there is a key."""

from typing import Literal

from kvclient.contract.operations.declaration import Key, Reply, Request


class ExistsReply(Reply):
    """The reply to exists."""

    exists: bool


class Exists(Request):
    """Tell whether a key exists."""

    does = "read"
    needs = ("read",)
    concerns = "key"
    reply = ExistsReply

    op: Literal["exists"]
    key: Key
