"""CURVE: who is let in. libzmq encrypts, and asks here, over ZAP, about the key of everybody who connects.

ZAP is specified in https://rfc.zeromq.org/spec/27/; `zmq.auth` speaks it, in the daemon's own loop.
"""

import contextlib
import logging
import os
from typing import Any

import zmq
from zmq.auth import Authenticator

from kvclient.contract import keys
from kvclient.contract.errors import DataStoreError
from kvd.server.poller import IN, Poller

log = logging.getLogger(__name__)

_DOMAIN = "kvd"


class Gatekeeper:
    """Lets in those whose key is in the directory of allowed keys, at the moment at which they connect."""

    def __init__(self) -> None:
        """Raises `DataStoreError` if a key cannot be read."""
        self._pair = keys.server()
        self._stamp = _stamp()
        self._allowed = keys.allowed()
        self._changed = False
        self._poller: Poller
        self._authenticator: _Authenticator

    def open(self, context: zmq.Context[Any], router: zmq.Socket[Any], poller: Poller) -> None:
        """Have a socket encrypt, and begin to answer who may connect to it."""
        router.curve_server = True
        router.curve_publickey, router.curve_secretkey = self._pair
        router.zap_domain = _DOMAIN.encode()
        self._authenticator = _Authenticator(context, self)
        self._poller = poller
        self._fd = int(self._authenticator.zap_socket.getsockopt(zmq.FD))
        poller.add(self._fd, IN, lambda _events, _ready: self._authenticator.answer())

    def name_of(self, public: bytes) -> str | None:
        """Return the name of a key, None if it is not allowed."""
        self._look_again()
        return self._allowed.get(public)

    def has_changed(self) -> bool:
        """Tell whether keys were allowed or revoked since this was asked last."""
        self._look_again()
        changed, self._changed = self._changed, False
        return changed

    def _look_again(self) -> None:
        """Read the allowed keys again if there was a change."""
        stamp = _stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self._changed = True
        try:
            self._allowed = keys.allowed()
        except DataStoreError as error:
            log.error("nobody can connect over the network until this is mended: %s", error)  # noqa: TRY400
            self._allowed = {}

    def close(self) -> None:
        """Answer no more."""
        self._poller.remove(self._fd)
        self._authenticator.stop()


class _Authenticator(Authenticator):
    """Speaks ZAP."""

    def __init__(self, context: zmq.Context[Any], gatekeeper: Gatekeeper) -> None:
        super().__init__(context, log=log)
        self._gatekeeper = gatekeeper
        self.configure_curve_callback(_DOMAIN, self)
        self.start()

    def callback(self, _domain: str, public: bytes) -> bool:
        """Tell whether the owner of a key may connect; called by `Authenticator`."""
        return self._gatekeeper.name_of(public) is not None

    def answer(self) -> None:
        """Answer all who wait for it."""
        while True:
            try:
                asked = self.zap_socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            # A coroutine for the sake of others' callbacks: here nothing is awaited.
            with contextlib.suppress(StopIteration):
                self.handle_zap_message(asked).send(None)


def _stamp() -> list[tuple[str, int, int]] | None:
    """Return what changes whenever a key is allowed or revoked, or the file of one is written over."""
    try:
        with os.scandir(keys.allowed_directory()) as files:
            return sorted((file.name, (found := file.stat()).st_ino, found.st_mtime_ns) for file in files)
    except OSError:  # there is none, or a file went away just now
        return None
