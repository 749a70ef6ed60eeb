"""The audit: a line of the log for each change that was committed, with who asked for it, and which keys it concerned.

`uid 1001 pid 4711 unit backup.service: put 'job:1', revision 12`. A change of many keys has a line for each hundred of
them. Keys are quoted as Python quotes text: what cannot be printed, or turns a line around, is shown as an escape.
"""

import logging
from typing import Any, assert_never

from kvd.processes import unit_of
from kvd.server.peers import Peer

log = logging.getLogger(__name__)

_KEYS_A_LINE = 100


def note(request: Any, peer: Any, revision: int) -> None:
    """Log a change that was committed at a revision."""
    author, what = _author(peer), _what(request)
    for first in range(0, len(what), _KEYS_A_LINE):
        log.info("%s: %s, revision %d", author, ", ".join(what[first : first + _KEYS_A_LINE]), revision)


def introduce(peer: Peer) -> None:
    """Find out who a peer is as soon as it connects: when its change is committed its process may have ended."""
    found, unit = peer.identity, None
    if found is not None:
        unit = unit_of(found)
        names = [f"uid {found.uid}", f"pid {found.pid or 'unknown'}", *([f"unit {unit}"] if unit is not None else [])]
    else:
        names = [] if peer.key is not None else ["a peer without a key"]
    if peer.key is not None:
        names.append(f"key {peer.key!r}")
    peer.author = " ".join(names)


def _author(peer: Peer) -> str:
    if peer.author is None:
        introduce(peer)
    assert peer.author is not None
    return peer.author


def _what(request: Any) -> list[str]:
    """Return what was done, key by key."""
    op, concerns = request.op, request.declared.concerns
    match concerns:
        case "key":
            return [f"{op} {request.key!r}"]
        case "keys" | "items":
            return [f"{op} {key!r}" for key in getattr(request, concerns)]
        case "operations":
            return [f"{member.op} {member.key!r}" for member in request.operations]
        case "prefix":
            return [f"{op} {request.prefix!r}"]
        case "nothing":
            return [op]
        case never:
            assert_never(never)
