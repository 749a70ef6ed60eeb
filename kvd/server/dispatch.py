"""From a frame to whoever carries it out: every operation of the contract has its way here, or nothing starts.

A large frame is parsed in steps, one of them a round for all peers together, so that nobody's request keeps others
waiting (`kvd.requests`).
"""

import logging
import os
import platform
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from kvclient.contract.errors import DataStoreError
from kvclient.contract.operations import OPERATIONS
from kvd.backend import Backend
from kvd.changes import Changes
from kvd.limits import Limits
from kvd.processes import program
from kvd.replies import DONE, as_text, encode
from kvd.requests.parser import LARGE_BYTES, Parser, Steps
from kvd.server.peers import Peer, Peers
from kvd.version import VERSION
from kvd.watch.hub import Hub

log = logging.getLogger(__name__)

_OUT_OF_MEMORY = DataStoreError(
    "The daemon has not enough memory for this request. Nothing was changed; send less at a time."
)
_MOST_PROCESSES = 100
Handler = Callable[[Any, Peer, int], None]


class Dispatch:
    """Receives requests and has them carried out."""

    def __init__(
        self,
        backend: Backend,
        hub: Hub,
        peers: Peers,
        limits: Limits,
        addresses: list[str],
        changes: Changes,
        stop: Callable[[], None],
    ) -> None:
        """`stop` is called for the request of that name."""
        self._backend = backend
        self._hub = hub
        self._peers = peers
        self._limits = limits
        self._addresses = addresses
        self._changes = changes
        self._end = stop
        self._parser = Parser(limits)
        self.large: deque[tuple[Peer, Steps, int]] = deque()
        """Large frames that wait to be parsed."""
        self._started = time.monotonic()
        self._operations = dict.fromkeys(OPERATIONS, 0)  # a Counter takes twice the time
        by_kind: dict[str, Handler] = {"read": backend.read, "change": backend.submit}
        self._handlers: dict[str, Handler] = {
            op: by_kind[model.does] if model.does != "control" else getattr(self, f"_{op}")
            for op, model in OPERATIONS.items()
        } | {"watch": self._watch}

    def receive(self, peer: Peer) -> None:
        """Receive from a peer, and have its request carried out if one is whole."""
        try:
            body = peer.receive()
            if body is None:
                return
            if len(body) > LARGE_BYTES:
                self.large.append((peer, self._parser.steps(body), len(body)))
                return
            request = self._parser.parse(body)
            if peer.rights is not None:
                peer.rights.apply_to(request)
            self._operations[request.op] += 1
            self._handlers[request.op](request, peer, len(body))
        except DataStoreError as error:
            peer.refuse(error)
        except MemoryError:
            peer.refuse(_OUT_OF_MEMORY)

    def work(self) -> None:
        """Go a step further with the parsing of the first of the large frames."""
        peer, steps, size = self.large.popleft()
        try:
            next(steps)
        except StopIteration as end:
            request = end.value
            try:
                if peer.rights is not None:
                    peer.rights.apply_to(request)
                self._operations[request.op] += 1
                self._handlers[request.op](request, peer, size)
            except DataStoreError as error:
                peer.refuse(error)
        except DataStoreError as error:
            peer.refuse(error)
        except MemoryError:
            peer.refuse(_OUT_OF_MEMORY)
        else:
            self.large.appendleft((peer, steps, size))

    # Handlers.

    def _watch(self, request: Any, peer: Peer, _: int) -> None:
        self._hub.watch(request, peer)

    def _ping(self, _request: Any, peer: Peer, _: int) -> None:
        refusing = self._backend.refusing
        if refusing is None:
            peer.reply(DONE)
        else:  # why tells others where the file lies
            peer.reply(encode({"refusing": str(refusing) if peer.rights is None else "Its owner can see why."}))

    def _compact(self, _request: Any, peer: Peer, _: int) -> None:
        self._backend.compact()
        peer.reply(DONE)

    def _stop(self, _request: Any, peer: Peer, _: int) -> None:
        log.info("asked to stop")
        peer.reply(DONE)
        self._end()

    def _status(self, _request: Any, peer: Peer, _: int) -> None:
        peer.reply(encode({"status": self.status() | {"processes": self._processes()}}))

    def _stats(self, _request: Any, peer: Peer, _: int) -> None:
        peer.reply(encode({"stats": self.statistics()}))

    # For people.

    def status(self) -> dict[str, Any]:
        """Return what the daemon tells of itself."""
        return {
            "pid": os.getpid(),
            "version": VERSION,
            "python": platform.python_version(),
            "endpoint": self._addresses[0],
            **({"network": self._addresses[1]} if len(self._addresses) > 1 else {}),
            **{name: as_text(told) if name == "file" else told for name, told in self._backend.describe().items()},
            "uptime": round(time.monotonic() - self._started, 3),
            "limits": self._limits._asdict(),
            "peers": len(self._peers),
            "watchers": len(self._hub),
            **{name: told for name, told in self._trouble().items() if told},
        }

    def _processes(self) -> list[dict[str, Any]]:
        """Return who has connections, those with most of them first."""
        connections, watching = Counter[tuple[Any, ...]](), Counter[tuple[Any, ...]]()
        since: dict[tuple[Any, ...], Peer] = {}
        for peer in self._peers:
            if (found := peer.identity) is None and peer.key is None:
                continue
            who = (found and found.pid, found and found.uid, peer.key)
            connections[who] += 1
            watching[who] += self._hub.has(peer)
            since[who] = peer
        return [
            {
                **({"pid": who[0]} if who[0] else {}),
                **({"uid": who[1]} if who[1] is not None else {}),
                **({"program": name} if (name := program(since[who].identity)) else {}),
                **({"key": who[2]} if who[2] is not None else {}),
                "connections": count,
                "watching": watching[who],
            }
            for who, count in connections.most_common(_MOST_PROCESSES)
        ]

    def _trouble(self) -> dict[str, Any]:
        refusing = self._backend.refusing
        return {
            "refusing": None if refusing is None else str(refusing),
            "restart_needed": self._changes.found(),
            "reload_needed": self._changes.reloadable,
            "settings_error": self._changes.error,
        }

    def statistics(self) -> dict[str, Any]:
        """Return what the daemon has done since it started."""
        told = self._backend.statistics()
        return {
            "uptime": round(time.monotonic() - self._started, 3),
            "operations": {op: count for op, count in self._operations.items() if count},
            "errors": dict(self._peers.errors),
            "events": self._hub.events,
            "peers": len(self._peers),
            "watchers": len(self._hub),
            **told,
            "hits": self._operations["read"] - told["misses"],
        }
