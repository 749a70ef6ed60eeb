"""Servers that are broken on purpose: a daemon behind somebody who now and then does what a server must not."""

import json
import threading
from collections.abc import Callable
from typing import Self

import zmq

from processes import Daemon

_EVERY = 10
"""Of so many requests one is treated badly."""
Ask = Callable[[bytes], bytes]


class Stale:
    """Answers a read with the first value that the same read was told."""

    def __init__(self) -> None:
        self._told: dict[bytes, bytes] = {}

    def answer(self, request: bytes, ask: Ask, *, badly: bool) -> bytes:
        if badly and request in self._told:
            return self._told[request]
        reply = ask(request)
        if "value" in json.loads(reply):
            self._told.setdefault(request, reply)
        return reply


class Forgetful:
    """Acknowledges changes that it does not make."""

    def answer(self, request: bytes, ask: Ask, *, badly: bool) -> bytes:
        return b'{"ok":true,"revision":1}' if badly and b'"id"' in request else ask(request)


class Repeating:
    """Carries a change out, loses the reply and carries it out again: what a retry without an id does."""

    def answer(self, request: bytes, ask: Ask, *, badly: bool) -> bytes:
        fields = json.loads(request)
        if not badly or fields.pop("id", None) is None:
            return ask(request)
        anonymous = json.dumps(fields).encode()
        ask(anonymous)
        return ask(anonymous)


class Front:
    """A REP socket in front of a daemon, which answers as `behaviour` has it."""

    def __init__(self, daemon: Daemon, behaviour: Stale | Forgetful | Repeating) -> None:
        self.daemon = daemon
        self.directory = daemon.directory
        self.ask = daemon.ask
        self.endpoint = f"{daemon.endpoint}.front"
        self._behaviour = behaviour
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with zmq.Context() as context, context.socket(zmq.REQ) as socket:
            socket.connect(self.endpoint)
            socket.send(b"end")
            socket.recv()
        self._thread.join()

    def _serve(self) -> None:
        with zmq.Context() as context, context.socket(zmq.REP) as front, context.socket(zmq.REQ) as back:
            front.bind(self.endpoint)
            back.connect(self.daemon.endpoint)

            def ask(request: bytes) -> bytes:
                back.send(request)
                return back.recv()

            count = 0
            while (request := front.recv()) != b"end":
                count += 1
                front.send(self._behaviour.answer(request, ask, badly=count % _EVERY == 0))
            front.send(b"")
