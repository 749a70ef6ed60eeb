"""The daemon: the one place where engine, store and server are put together."""

import contextlib
import gc
import logging
import os
import platform
import resource
import signal
import time
from pathlib import Path
from types import FrameType

from kvclient.contract.messages import LimitsInForce, StatusDetails
from kvd import __version__
from kvd.backend.file.engine.file import JsonFile
from kvd.backend.file.store.store import Limits, Store
from kvd.changes import Changes
from kvd.server.activation import take_sockets
from kvd.server.connections import Connections
from kvd.server.endpoint import Endpoint
from kvd.server.notify import Notifier, summary
from kvd.server.server import Server
from kvd.server.upkeep import Upkeep
from kvd.server.worker import Wakeup, Worker
from kvd.settings import Settings

log = logging.getLogger(__name__)

_STOPPING = (signal.SIGTERM, signal.SIGINT)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM, SIGINT or a stop request; then everything received is answered and the file closed.

    Raises `DataStoreError` if the endpoint or the file cannot be had, `EngineFailure` if the disk fails.
    """
    os.umask(0o077)
    for number in _STOPPING:
        signal.signal(number, _end)  # until the server takes over: opening a large file takes seconds
    _allow_descriptors()
    started = time.monotonic()
    changes = Changes(settings)
    notifier = Notifier()
    endpoint = Endpoint.of(settings.endpoint, settings.store, take_sockets())
    try:
        engine = JsonFile(
            settings.data_file,
            sync=settings.sync,
            max_file_bytes=settings.max_file_bytes,
            progress=lambda done, size: notifier.opening(settings.data_file, done, size),
            served_on=endpoint.address,
        )
        try:
            _serve(settings, changes, endpoint, engine, notifier, started)
        finally:
            engine.close()
    finally:
        endpoint.release()


def _serve(
    settings: Settings, changes: Changes, endpoint: Endpoint, engine: JsonFile, notifier: Notifier, started: float
) -> None:
    store = Store(engine, Limits(**settings.limits()))
    wakeup = Wakeup()
    committer, helper = Worker("kvd-committer", wakeup), Worker("kvd-helper", wakeup)
    upkeep = Upkeep(
        store,
        engine,
        helper,
        sync_in_intervals=settings.sync == "interval",
        beat=lambda: notifier.beat(status),
    )
    connections = Connections(endpoint.bind(), wakeup, most_bytes=settings.largest_request)

    in_force = settings.in_force()
    limits = LimitsInForce(**{name: in_force[name] for name in LimitsInForce.model_fields})

    def describe() -> StatusDetails:
        return StatusDetails(
            pid=os.getpid(),
            version=__version__,
            python=platform.python_version(),
            endpoint=_as_text(endpoint.address),
            file=_as_text(engine.path),
            file_bytes=engine.size,
            live_bytes=engine.live_bytes,
            max_file_bytes=settings.max_file_bytes,
            keys=len(store),
            revision=engine.revision,
            sync=settings.sync,
            compacting=upkeep.compacting,
            uptime=round(time.monotonic() - started, 3),
            limits=limits,
            refusing=upkeep.refusing,
            restart_needed=changes.found() or None,
            settings_error=changes.error,
        )

    def status() -> str:
        return summary(describe(), upkeep.refusing or "")

    server = Server(
        connections,
        store,
        upkeep,
        wakeup=wakeup,
        committer=committer,
        waits_for_disk=settings.sync == "always",
        describe=describe,
    )

    def stop(number: int, _: FrameType | None) -> None:
        log.info("stopping on %s", signal.Signals(number).name)
        server.stop()

    for number in _STOPPING:
        signal.signal(number, stop)
    # The index is many objects that live long: without this, each full collection would look at all of them.
    gc.collect()
    gc.freeze()
    log.info("serving %s (%d keys) on %s, pid %d", engine.path, len(store), endpoint.address, os.getpid())
    notifier.ready(status())
    try:
        server.run()
    finally:
        notifier.stopping()
        connections.close()
        committer.close()
        helper.close()
        wakeup.handle()  # what they were at is done
        upkeep.close()
        wakeup.close()
    log.info("stopped")


def _end(number: int, _: FrameType | None) -> None:
    log.info("ending on %s", signal.Signals(number).name)
    raise SystemExit(0)


def _as_text(path: Path | str) -> str:
    """Return a path for JSON: bytes of it that are no UTF-8, which Python keeps as lone surrogates, as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _allow_descriptors() -> None:
    """Allow as many open files as one may: each connection takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
