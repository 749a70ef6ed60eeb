"""read: a key's value, and what else is known of it."""

from typing import Annotated, Literal

from pydantic import Field

from kvclient.contract.operations.declaration import ExpiresAt, JsonValue, Key, OwnerFields, Reply, Request


class ReadReply(Reply):
    """The reply to read."""

    value: JsonValue
    revision: Annotated[int, Field(description="The revision at which the key got this value.")]
    expires_at: ExpiresAt | None = None
    owner: OwnerFields | None = None


class Read(Request):
    """Return the value of a key. KeyNotFoundError if it does not exist."""

    does = "read"
    needs = ("read",)
    concerns = "key"
    reply = ReadReply

    op: Literal["read"]
    key: Key
