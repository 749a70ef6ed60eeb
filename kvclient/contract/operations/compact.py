"""compact: freeing the space of what is gone."""

from typing import Literal

from kvclient.contract.operations.declaration import Done, Request


class Compact(Request):
    """Start a compaction of the data file, beside service."""

    does = "control"
    needs = ("own",)
    concerns = "nothing"
    reply = Done

    op: Literal["compact"]
