"""delete: one key."""

from typing import Literal

from kvclient.contract.operations.declaration import Changed, IfRevision, Key, Request


class Delete(Request):
    """Remove a key. Atomic. KeyNotFoundError if it does not exist, with `if_revision` RevisionMismatchError."""

    does = "change"
    needs = ("write",)
    concerns = "key"
    frees = True
    reply = Changed

    op: Literal["delete"]
    key: Key
    if_revision: IfRevision | None = None
