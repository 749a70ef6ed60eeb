"""stop: ending the daemon."""

from typing import Literal

from kvclient.contract.operations.declaration import Done, Request


class Stop(Request):
    """End the daemon cleanly, after this reply."""

    does = "control"
    needs = ("own",)
    concerns = "nothing"
    reply = Done

    op: Literal["stop"]
