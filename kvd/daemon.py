"""The daemon: the one place where engine, store and server are put together."""

import contextlib
import gc
import logging
import os
import resource
import signal
from types import FrameType

from kvd.backend.file.backend import FileBackend
from kvd.backend.file.engine.file import JsonFile
from kvd.changes import Changes
from kvd.memory import keep_little
from kvd.replies import as_text
from kvd.server import audit
from kvd.server.activation import take_sockets
from kvd.server.dispatch import Dispatch
from kvd.server.endpoint import Endpoint
from kvd.server.notify import Notifier, summary
from kvd.server.peers import Peers
from kvd.server.poller import Poller
from kvd.server.reload import Reload
from kvd.server.rights import AccessList
from kvd.server.server import Server
from kvd.server.transport.transport import Opener
from kvd.settings import Settings
from kvd.watch.hub import Hub
from kvd.worker import Wakeup

log = logging.getLogger(__name__)

_STOPPING = (signal.SIGTERM, signal.SIGINT)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM, SIGINT or a stop request; then everything received is answered and the file closed.

    Raises `DataStoreError` if the endpoint or the file cannot be had, `EngineFailure` if the disk fails.
    """
    os.umask(0o077)
    for number in _STOPPING:
        signal.signal(number, _end)  # until the server takes over: opening a large file takes seconds
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # and this one waits until it can be heeded
    _allow_descriptors()
    keep_little()
    changes = Changes(settings)
    notifier = Notifier()
    settings.check_shared_socket()
    endpoints = [Endpoint.of(settings.endpoint, settings.store, take_sockets(), shared=settings.shared_socket)]
    try:
        if settings.network is not None:
            endpoints.append(Endpoint(settings.network))
        engine = JsonFile(
            settings.data_file,
            sync=settings.sync,
            max_file_bytes=settings.max_file_bytes,
            progress=lambda done, size: notifier.opening(settings.data_file, done, size),
            served_on=endpoints[0].address,
        )
        try:
            _serve(settings, changes, endpoints, engine, notifier)
        finally:
            engine.close()
    finally:
        for endpoint in endpoints:
            endpoint.release()


def _serve(
    settings: Settings, changes: Changes, endpoints: list[Endpoint], engine: JsonFile, notifier: Notifier
) -> None:
    limits = settings.limits()
    wakeup = Wakeup()
    backend = FileBackend(
        engine,
        limits,
        settings.compact_when(),
        wakeup,
        sync=settings.sync,
        beat=lambda: notifier.beat(lambda: summary(dispatch.status())),
        note=audit.note if settings.audit else None,
    )
    hub = Hub(backend.events, settings.max_watchers)
    peers = Peers(
        when_gone=hub.gone, access=AccessList(settings.access), when_come=audit.introduce if settings.audit else None
    )
    poller = Poller(wakeup)
    poller.wake_for(backend.fd)
    opener = Opener(
        poller,
        peers,
        most_bytes=limits.max_request_bytes,
        kind=settings.transport,
        insecure_tcp=settings.insecure_tcp,
    )
    transports = [opener.open(endpoint) for endpoint in endpoints]
    addresses = [as_text(endpoint.address) for endpoint in endpoints]
    server = Server(poller, backend, hub, wakeup)
    dispatch = Dispatch(backend, hub, peers, limits, addresses, changes, server.stop)

    def give_rights(settings: Settings) -> None:
        for peer in peers.give_rights(AccessList(settings.access)):
            hub.end(peer)  # it asks on, and is answered by what it may see now

    reload = Reload(changes, notifier, wakeup)
    reload.parts.append(give_rights)

    def stop(number: int, _: FrameType | None) -> None:
        log.info("stopping on %s", signal.Signals(number).name)
        server.stop()

    def hang_up(number: int, frame: FrameType | None) -> None:
        if in_terminal and not _has_terminal():  # it is gone, and with it whoever started the daemon
            stop(number, frame)
        else:
            reload.ask()

    for number in _STOPPING:
        signal.signal(number, stop)
    in_terminal = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN and _has_terminal()  # ignored: under nohup
    signal.signal(signal.SIGHUP, hang_up)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    # The index is many objects that live long: without this, each full collection would look at all of them.
    gc.collect()
    gc.freeze()
    status = dispatch.status()
    log.info("serving %s (%d keys) on %s, pid %d", engine.path, status["keys"], " and ".join(addresses), os.getpid())
    notifier.ready(summary(status))
    try:
        server.run(dispatch)
    finally:
        notifier.stopping()
        for transport in transports:
            transport.close()
        poller.close()
        backend.close()
        wakeup.close()
    log.info("stopped")


def _end(number: int, _: FrameType | None) -> None:
    log.info("ending on %s", signal.Signals(number).name)
    raise SystemExit(0)


def _has_terminal() -> bool:
    """Tell whether the process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _allow_descriptors() -> None:
    """Allow as many open files as one may: each connection takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
