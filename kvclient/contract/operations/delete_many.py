"""delete_many: several keys at once."""

from typing import Literal

from kvclient.contract.operations.declaration import Key, Reply, Request, Revision


class DeleteManyReply(Reply):
    """The reply to delete_many."""

    deleted: list[Key]
    revision: Revision


class DeleteMany(Request):
    """Remove those of `keys` that exist, and return which those were. Atomic."""

    does = "change"
    needs = ("write",)
    concerns = "keys"
    frees = True
    reply = DeleteManyReply

    op: Literal["delete_many"]
    keys: list[Key]
