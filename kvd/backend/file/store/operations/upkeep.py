"""What the store does by itself, as operations beside those that are asked for."""

from typing import NamedTuple

from kvd.backend.asking import Owner
from kvd.backend.file.store.view import View


class Sweep(NamedTuple):
    """Remove up to `most` keys that have expired. Never refused."""

    most: int
    op: str = "sweep"
    id: None = None


class Release(NamedTuple):
    """Remove the keys of processes that have ended. Never refused."""

    owners: list[Owner]
    op: str = "release"
    id: None = None


class WriteDown(NamedTuple):
    """Write down the removal of up to `most` keys that were cleared. Never refused."""

    most: int
    op: str = "write_down"
    id: None = None


class Forget(NamedTuple):
    """Tell of up to `most` keys that a compaction dropped. Never refused."""

    most: int
    op: str = "forget"
    id: None = None


def sweep(view: View, request: Sweep) -> bytes:
    """Remove what is due."""
    view.sweep(request.most)
    return b""


def release(view: View, request: Release) -> bytes:
    """Remove the keys that are bound to the processes."""
    for owner in request.owners:
        for key in view.keys_of(owner):
            state = view.find(key)
            if state is not None and view.owner(key) == owner:
                view.remove(key, "released")
    return b""


def write_down(view: View, request: WriteDown) -> bytes:
    """Remove what a clear has already made invisible."""
    view.write_down(request.most)
    return b""


def forget(view: View, request: Forget) -> bytes:
    """Tell of keys that have no entry any more."""
    view.forget(request.most)
    return b""
