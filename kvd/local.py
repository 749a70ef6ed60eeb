"""`LocalDataStore`: the store in this process, with no daemon, on the same file and under the same lock.

It speaks the wire without a socket: a call is the request that a client would send, parsed, carried out and answered by
the parts that the daemon consists of.
"""

import logging
import os
import platform
import select
import threading
import time
from collections.abc import Callable
from contextlib import closing
from os import PathLike, fspath, getpid
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

from kvclient.contract.calls import Call, closed
from kvclient.contract.errors import DataStoreError, StoreLockedError
from kvclient.contract.operations import OPERATIONS
from kvclient.recipes.face import Recipes
from kvd.asked import Asked
from kvd.backend.file.chores import Chores
from kvd.backend.file.committer import Committer
from kvd.backend.file.description import describe, statistics
from kvd.backend.file.engine.file import JsonFile
from kvd.backend.file.engine.interface import DiskJob, EngineFailure
from kvd.backend.file.events import FileEvents
from kvd.backend.file.health import Health
from kvd.backend.file.store.operations import READS
from kvd.backend.file.store.store import Store
from kvd.replies import DONE, as_text, encode
from kvd.requests.parser import Parser
from kvd.settings import Settings
from kvd.version import VERSION
from kvd.watch.hub import Hub

log = logging.getLogger(__name__)

_UPKEEP_SECONDS = 1.0

T = TypeVar("T")


class LocalDataStore(Recipes):
    """The store of one data file, in this process.

    Safe to call from many threads; what they write at the same time shares one commit. A signal handler that comes in
    the midst of a call of the same thread is refused. Not to be used in a forked child: open the file there, after it
    was closed here.

    >>> with LocalDataStore(path) as store:
    ...     store.create("key1", {"name": "value1"}, ttl=5)
    ...     store.read("key1")
    1
    {'name': 'value1'}
    """

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        *,
        clock: Callable[[], float] = time.time,
        **settings: Any,
    ) -> None:
        """Open the file at `path`, or the default store's. `settings` are those of the daemon, such as `sync="never"`;
        the environment and the settings file apply too. `clock` gives Unix seconds.

        Raises `StoreLockedError` if a daemon or another process has it open, `StoreCorruptError` if it is damaged.
        """
        if path is not None:
            settings["file"] = Path(fspath(path))
        chosen = Settings.load(**settings)
        self._pid = getpid()
        self._started = time.monotonic()
        self._limits = chosen.limits()
        self._parser = Parser(self._limits)
        self._sync = chosen.sync
        self._engine = JsonFile(chosen.data_file, sync=chosen.sync, max_file_bytes=chosen.max_file_bytes)
        self._store = Store(self._engine, self._limits, clock, chosen.compact_when())
        self._health = Health(self._engine, "Close this store, put the right file in place and open it again.")
        self._committer = Committer(self._store, self._health)
        self._chores = Chores(self._store, self._committer)
        self._hub = Hub(FileEvents(self._store), chosen.max_watchers)
        self._compacting = False
        self._state = threading.Lock()  # held for moments, around every use of the store but its `write`
        self._commit = threading.Lock()  # held by the thread that is writing a group
        self._here = threading.local()
        self._closed = threading.Event()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._upkeep = threading.Thread(target=self._keep_up, name="kvd-upkeep", daemon=True)
        self._upkeep.start()

    def __repr__(self) -> str:
        return f"LocalDataStore({as_text(self._engine.path)!r})"

    def __getstate__(self) -> NoReturn:
        raise TypeError("A LocalDataStore cannot be pickled, for one process has the file. Use Client in several.")

    def __len__(self) -> int:
        """Return the number of keys, expired ones that were not swept yet included."""
        self._check_usable()
        return len(self._store.keys)

    def close(self) -> None:
        """Finish what other threads are writing, and close the file. Does nothing the second time.

        >>> store = LocalDataStore(path)
        >>> store.close()
        """
        if getpid() != self._pid:
            self._engine.abandon()
            return
        if self._closed.is_set():
            return
        self._closed.set()
        os.eventfd_write(self._wake, 1)
        self._upkeep.join()
        with self._commit, self._state:
            self._hub.close()
            self._store.keys.owners.close()
            os.close(self._wake)
            self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_usable(self) -> None:
        if self._closed.is_set():
            raise DataStoreError("This LocalDataStore is closed.")
        if getpid() != self._pid:
            raise StoreLockedError(f"This LocalDataStore belongs to process {self._pid}, which forked this one.")

    # Calls.

    def _call(self, call: Call[T]) -> T:
        self._check_usable()
        if getattr(self._here, "inside", False):
            raise DataStoreError(
                "This thread is in the midst of another call of this LocalDataStore. A signal handler, or a finalizer, "
                "cannot use it; have it note what is to be done, and do that afterwards, or use Client."
            )
        self._here.inside = True
        try:
            request = self._parser.parse(closed(call))
            asked = Asked()
            does = OPERATIONS[request.op].does
            if does == "change":
                self._change(request, asked)
            elif request.op == "watch":
                self._watch(request, asked)
            elif does == "read":
                self._read(request, asked)
            else:
                self._control(request, asked)
        finally:
            self._here.inside = False
        return call.result(asked.body)

    def _read(self, request: Any, asked: Asked) -> None:
        with self._state:
            self._check_usable()  # another thread may have closed it
            answer = READS[request.op](self._store.keys, request)
        while not isinstance(answer, bytes):
            try:
                with self._state:
                    next(answer)
            except StopIteration as end:
                answer = end.value
        asked.reply(answer)

    def _change(self, request: Any, asked: Asked) -> None:
        """Have a change carried out: by the thread that is writing if there is one, else by this one."""
        with self._state:
            self._committer.add(asked, request, 0)
        with self._commit:
            if not asked.answered:
                self._check_usable()
                self._carry_out()

    def _watch(self, request: Any, asked: Asked) -> None:
        with self._state:
            self._check_usable()
            self._hub.watch(request, asked)
        while not asked.answered:
            with self._state:
                timeout = self._hub.work()
            asked.wait(timeout)

    def _control(self, request: Any, asked: Asked) -> None:
        with self._state:
            self._check_usable()
            match request.op:
                case "ping":
                    asked.reply(encode({"refusing": self._refusing}))
                case "status":
                    asked.reply(encode({"status": self._status()}))
                case "stats":
                    asked.reply(encode({"stats": self._statistics()}))
                case "compact":
                    if self._health.refusing is not None:
                        raise self._health.refusing
                    self._compacting = True
                    os.eventfd_write(self._wake, 1)
                    asked.reply(DONE)
                case _:
                    raise DataStoreError(f"A LocalDataStore has no daemon for {request.op}: use `close`.")

    @property
    def _refusing(self) -> str | None:
        return None if self._health.refusing is None else str(self._health.refusing)

    def _status(self) -> dict[str, Any]:
        refusing = {} if self._refusing is None else {"refusing": self._refusing}
        return {
            "pid": getpid(),
            "version": VERSION,
            "python": platform.python_version(),
            "endpoint": "",
            **describe(self._store),
            "file": as_text(self._engine.path),
            "sync": self._sync,
            "compacting": self._compacting,
            "uptime": round(time.monotonic() - self._started, 3),
            "limits": self._limits._asdict(),
            "peers": 0,
            "watchers": len(self._hub),
            **refusing,
        }

    def _statistics(self) -> dict[str, Any]:
        return {
            "uptime": round(time.monotonic() - self._started, 3),
            "events": self._hub.events,
            "watchers": len(self._hub),
            **statistics(self._store),
            **self._committer.statistics(),
        }

    # The disk.

    def _carry_out(self) -> None:
        """Write what is queued, group by group. Called with the right to commit."""
        committer = self._committer
        while committer.waiting:
            with self._state:
                group = committer.begin()
            if committer.deciding is not None:
                continue
            if group is not None:
                try:
                    committer.write(group)
                except Exception as error:  # noqa: BLE001  # `end` decides what it means
                    self._end(error)
                except BaseException:
                    self._end(
                        DataStoreError("The write was interrupted in another thread. It may have been carried out.")
                    )
                    raise
                else:
                    self._end(None)
            elif committer.needs_room:
                self._compact()
            else:
                with self._state:
                    self._chores.queue()
        if self._store.compaction_due():
            self._compact()

    def _end(self, error: BaseException | None) -> None:
        with self._state:
            self._committer.end(error)

    def _compact(self) -> None:
        """Run a compaction from start to end; reads go on between its steps.

        What makes it fail makes the next write fail, too, if it is more than want of room. What came before is done.
        """
        failure: Exception | None = None
        with closing(self._store.compact()) as steps:
            try:
                while True:
                    with self._state:
                        job = next(steps) if failure is None else steps.throw(failure)
                    failure = None if job is None else _failure(job)
            except StopIteration:
                pass
            except (OSError, DataStoreError, EngineFailure) as error:
                log.warning("the compaction of %s was given up: %s", self._engine.path, error)

    def _keep_up(self) -> None:
        """Do the store's chores, answer watches, and sync if that is done in intervals, until the store is closed."""
        poll = select.poll()
        for fd in (self._wake, self._store.keys.owners.fd):
            poll.register(fd, select.POLLIN)
        synced = time.monotonic()
        while not self._closed.is_set():
            with self._commit:
                with self._state:
                    self._health.verify()
                    self._chores.queue()
                self._carry_out()
                if self._compacting:
                    self._compact()
                    self._compacting = False
                with self._state:
                    self._committer.fold()
                if self._sync == "interval" and time.monotonic() >= synced + _UPKEEP_SECONDS:
                    synced = time.monotonic()
                    try:
                        self._engine.sync()
                    except EngineFailure as error:
                        log.warning("%s", error)
                        return  # nothing can be written any more
            with self._state:
                due = self._chores.queue()
                self._hub.work()
            poll.poll(1000 * min(_UPKEEP_SECONDS, _UPKEEP_SECONDS if due is None else due))
            if select.select([self._wake], [], [], 0)[0]:
                os.eventfd_read(self._wake)


def _failure(job: DiskJob) -> Exception | None:
    """Run a part of a compaction and return the exception that ended it, for the compaction to handle."""
    try:
        job.run()
    except Exception as error:  # noqa: BLE001  # thrown into the compaction
        return error
    return None
