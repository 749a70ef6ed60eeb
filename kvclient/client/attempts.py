"""Asking until there is an answer: how long to wait for it, when to ask again, when to give up.

Decides, and leaves the waiting to those who can: `Connection` blocks, `AsyncConnection` awaits. Only to look whether
another host accepts connections it blocks itself.
"""

import random
import socket
import time
from collections.abc import Iterator
from typing import NamedTuple

from kvclient.client.autostart import listening, start_daemon
from kvclient.client.stores import is_missing, missing, what_to_do
from kvclient.contract.endpoint import Target, tcp_address
from kvclient.contract.errors import DaemonUnavailableError, RequestTimeoutError

# A request without a reply is repeated after this, then after twice as long, and so on up to the maximum. Shorter
# would repeat what a slow disk is still writing; longer would let a restarted daemon wait for its clients.
FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS = 0.25, 2.0
# So long a daemon that has never answered this connection may be away, unless the timeout is shorter: long enough for
# it to restart, short enough for a person who mistyped an endpoint.
_ABSENCE_SECONDS = 2.0
_AWAY_POLL_SECONDS = 0.05
_TCP_SECONDS = 0.5
"""So long another host may take to accept a connection."""


class Exchange(NamedTuple):
    """Send the request and wait for its reply, which ends the attempts: until the line is lost, or for so many seconds
    in which nothing gets through.
    """

    seconds: float


class Pause(NamedTuple):
    """Wait so many seconds."""

    seconds: float


def attempts(
    target: Target, started: float, timeout: float, *, changes: bool, answered: bool, wait: float = 0.0
) -> Iterator[Exchange | Pause]:
    """Yield what to do next, until a reply comes.

    `changes` tells whether the request changes the store; `answered` that this daemon has answered before, and has been
    sent the request at `started` (monotonic), for `FIRST_RETRY_SECONDS` and in vain. For `wait` seconds more the daemon
    may hold back each reply. Raises, `timeout` and `wait` seconds later at the latest, `RequestTimeoutError` if the
    request was sent and `DaemonUnavailableError` if it was not.
    """
    deadline = started + timeout + wait
    asked = started
    if answered:
        yield from _pause_if_lost(started, FIRST_RETRY_SECONDS + wait, deadline)
    else:
        patience = timeout if target.autostart else min(timeout, _ABSENCE_SECONDS)
        yield from _find_daemon(target, started + patience, changes=changes)
        asked = time.monotonic()
        yield from _exchange(min(FIRST_RETRY_SECONDS + wait, deadline - asked), deadline)
    pause = FIRST_RETRY_SECONDS
    while True:
        now = time.monotonic()
        if wait and timeout < now - asked < wait:
            # The line was lost long after the request was sent: a daemon that is there again gets its whole time anew.
            deadline = now + timeout + wait
        if now >= deadline:
            raise RequestTimeoutError(
                f"No answer from {target.endpoint} within {timeout + wait:g} s. {_outcome(changes)}"
            )
        try:
            yield from _find_daemon(target, min(deadline, now + timeout), changes=changes)
        except DaemonUnavailableError as error:
            raise went_away(error, changes=changes) from None
        # Some of a second more or less: clients that lost the same daemon do not all come back at once.
        pause = min(2 * pause, MOST_RETRY_SECONDS)
        asked = time.monotonic()
        yield from _exchange(min(pause * random.uniform(0.8, 1.2) + wait, deadline - asked), deadline)


def went_away(error: DaemonUnavailableError, *, changes: bool) -> RequestTimeoutError:
    """Return what to raise instead of `error` where the request had been sent before."""
    return RequestTimeoutError(f"The daemon went away before it answered. {error} {_outcome(changes)}")


def _outcome(changes: bool) -> str:
    return "The request may have been carried out: check before you try again." if changes else "Nothing was changed."


def _exchange(seconds: float, deadline: float) -> Iterator[Exchange | Pause]:
    started = time.monotonic()
    yield Exchange(seconds)
    yield from _pause_if_lost(started, seconds, deadline)


def _pause_if_lost(started: float, seconds: float, deadline: float) -> Iterator[Pause]:
    """Pause after an exchange that ended before its time: what accepts and hangs up is not asked without a break."""
    now = time.monotonic()
    if now - started < seconds:
        yield Pause(max(0.0, min(_AWAY_POLL_SECONDS * random.uniform(0.5, 1.5), deadline - now)))


def _find_daemon(target: Target, deadline: float, *, changes: bool) -> Iterator[Pause]:
    """Pause until somebody listens; start a daemon if that is wanted: to read, only for a store that there is."""
    while not _somebody_listens(target, deadline):
        if target.autostart and target.socket is not None:
            if not changes and is_missing(target):
                raise missing(target)
            for seconds in start_daemon(target, target.socket, deadline):
                yield Pause(seconds)
            return
        if time.monotonic() > deadline:
            raise DaemonUnavailableError(f"No daemon listens on {target.endpoint}. {what_to_do(target)}")
        yield Pause(_AWAY_POLL_SECONDS * random.uniform(0.5, 1.5))


def _somebody_listens(target: Target, deadline: float) -> bool:
    if target.socket is not None:
        try:
            return listening(target.socket)
        except OSError as error:  # no more descriptors, say
            raise DaemonUnavailableError(
                f"The daemon on {target.endpoint} cannot be reached: {error.strerror}."
            ) from None
    seconds = max(0.01, min(_TCP_SECONDS, deadline - time.monotonic()))
    try:
        socket.create_connection(tcp_address(target.endpoint), seconds).close()
    except (ConnectionRefusedError, TimeoutError):
        return False
    except OSError:  # an unknown host, say: the exchange will tell
        return True
    return True
