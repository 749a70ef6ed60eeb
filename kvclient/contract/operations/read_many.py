"""read_many: the values of several keys, at one moment."""

from typing import Literal

from kvclient.contract.operations.declaration import EntryFields, Key, Reply, Request


class ReadManyReply(Reply):
    """The reply to read_many."""

    entries: list[EntryFields]


class ReadMany(Request):
    """Return those of `keys` that exist, with their values, at one moment."""

    does = "read"
    needs = ("read",)
    concerns = "keys"
    reply = ReadManyReply

    op: Literal["read_many"]
    keys: list[Key]
