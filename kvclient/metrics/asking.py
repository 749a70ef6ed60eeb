"""Asking a daemon how it is, without ever starting one: also where systemd listens in its place."""

import os
import time
from pathlib import Path
from typing import NamedTuple

from kvclient.client.blocking import Client
from kvclient.contract.endpoint import Target, socket_path
from kvclient.contract.errors import DaemonUnavailableError
from kvclient.contract.holder import lock_path, running_holder
from kvclient.metrics.families import Told


class Source(NamedTuple):
    """A store that is asked about."""

    store: str
    """What the label `store` says."""
    endpoint: str


def source(store: str | None = None, endpoint: str | None = None) -> Source:
    """Return the store that is meant by a name, an endpoint or, without either, this user's settings.

    An endpoint is named after its socket, or by host and port. Raises `DataStoreError` for what can be neither.
    """
    target = Target(store, endpoint)
    if endpoint or (store is None and os.environ.get("KVD_ENDPOINT")):
        return Source(
            target.endpoint.partition("://")[2] if target.socket is None else target.socket.stem, target.endpoint
        )
    return Source(target.store, target.endpoint)


def ask(endpoint: str, timeout: float) -> Told:
    """Return what a daemon tells of itself. Raises `DataStoreError` if none is there or answers within `timeout`."""
    path = socket_path(endpoint)
    if path is not None and not _serves(path):
        raise DaemonUnavailableError(f"No daemon serves {endpoint}.")
    deadline = time.monotonic() + timeout
    with Client(endpoint, timeout=timeout) as client:
        status = client.status()
        client.timeout = max(0.001, deadline - time.monotonic())
        return status | client.stats()


def _serves(path: Path) -> bool:
    """Tell whether a daemon has the socket at `path`, as its lock says. To connect would have systemd start one."""
    lock = lock_path(path)
    if lock.exists() and not os.access(lock, os.R_OK):
        return True  # of another user, who lets this one use the socket
    return running_holder(path) is not None
