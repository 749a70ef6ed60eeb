"""A claim: who has it does something that others would do as well, and these wait until he has, or is no more.

A claim is an ephemeral key with a mark in it that nobody else has. The process that made it may die, and the kernel's
word removes the key; within the process it is one thread or task that has it, because creating it a second time fails.
Unlike at a lock there is no line: all who wait look anew when the claim is gone, and mostly find that it was done.

The rule that makes it exclusive: the key is created by one, and deleted at the revision that this gave it, or by its
mark, so that nobody deletes a later one.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from kvclient.contract import calls
from kvclient.contract.errors import (
    DaemonUnavailableError,
    DataStoreError,
    KeyExistsError,
    KeyNotFoundError,
    RequestTimeoutError,
    RevisionGoneError,
    RevisionMismatchError,
)
from kvclient.contract.watching import Watching
from kvclient.recipes.steps import Steps, ask, pause

_GONE = ("deleted", "released", "expired")
_RETRY_SECONDS = 1.0

Beside = Callable[[Steps[None]], None]
"""Has steps taken beside the caller: in a thread or a task of their own."""


class Claim(NamedTuple):
    """A key that this thread or task has claimed."""

    key: str
    mark: str
    revision: int | None
    """None: it is not known whether it was created, since the answer did not come."""


def take(key: str, beside: Beside) -> Steps[Claim | None]:
    """Claim `key`, and return None if somebody has it already."""
    mark = os.urandom(8).hex()
    try:
        revision = yield from ask(calls.create(key, {"mark": mark, "since": time.time()}, ephemeral=True))
    except RequestTimeoutError:
        beside(_let_go_patiently(Claim(key, mark, None)))
        raise
    except KeyExistsError:
        return None
    except DataStoreError:  # it was refused
        raise
    except BaseException as error:
        yield from abandon(Claim(key, mark, None), error, beside)
        raise
    return Claim(key, mark, revision)


def let_go(claim: Claim, beside: Beside) -> Steps[None]:
    """Let others have it. If that cannot be done now it is done as soon as it can, beside the caller."""
    try:
        yield from _let_go(claim)
    except DataStoreError:
        beside(_let_go_patiently(claim))
    except BaseException:
        beside(_let_go_patiently(claim))
        raise


def abandon(claim: Claim, error: BaseException, beside: Beside) -> Steps[None]:
    """Let go because of `error`, which may be that nobody takes these steps any more, as when a loop ends."""
    if isinstance(error, GeneratorExit):
        beside(let_go(claim, beside))
    else:
        yield from let_go(claim, beside)


def _let_go_patiently(claim: Claim) -> Steps[None]:
    while True:
        try:
            return (yield from _let_go(claim))
        except (DaemonUnavailableError, RequestTimeoutError):
            yield from pause(_RETRY_SECONDS)
        except DataStoreError:  # a LocalDataStore that was closed
            return None


def _let_go(claim: Claim) -> Steps[None]:
    revision = claim.revision
    if revision is None:
        # Reads do not wait for the changes before them. This change does, though it changes nothing: with its answer
        # it is decided whether there is a claim.
        yield from ask(calls.delete_many([f"{claim.key}{claim.mark}"]))
        try:
            found = yield from ask(calls.entry(claim.key))
        except KeyNotFoundError:
            return
        if not isinstance(found.value, dict) or found.value.get("mark") != claim.mark:
            return
        revision = found.revision
    with suppress(RevisionMismatchError):  # it is gone already
        yield from ask(calls.delete(claim.key, if_revision=revision))


def wait(key: str) -> Steps[None]:
    """Return when nobody has claimed `key`, or soon after."""
    watching = Watching(key, None)
    try:
        watching.take((yield from ask(watching.first())))
        if (yield from _is_free(key)):  # what went before the watch began is not told
            return
        while not any(event.key == key and event.kind in _GONE for event in watching.events):
            watching.events.clear()
            watching.take((yield from ask(watching.next())))
    except RevisionGoneError:
        return


def _is_free(key: str) -> Steps[bool]:
    try:
        found = yield from ask(calls.entry(key))
    except KeyNotFoundError:
        return True
    if found.owner is not None:
        return False
    # Nobody's, as in a store that was imported: no process's end would ever remove it.
    with suppress(RevisionMismatchError):
        yield from ask(calls.delete(key, if_revision=found.revision))
    return True
