"""ping: whether anybody is there."""

from typing import Annotated, Literal

from pydantic import Field

from kvclient.contract.operations.declaration import Reply, Request


class PingReply(Reply):
    """The reply to ping."""

    refusing: Annotated[str | None, Field(description="Why all changes are refused; absent if they are not.")] = None


class Ping(Request):
    """Answer, and do nothing else."""

    does = "control"
    needs = ()
    concerns = "nothing"
    reply = PingReply

    op: Literal["ping"]
