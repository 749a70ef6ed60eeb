"""`LocalDataStore`: the store in this process, with no daemon, on the same file and under the same lock."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from os import PathLike, fspath, getpid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kvclient.contract.errors import DataStoreError, StoreLockedError
from kvclient.contract.rules import check_key, check_ttl, encode_items, encode_value
from kvd.backend.file.engine.file import JsonFile
from kvd.backend.file.engine.interface import DiskJob, EngineFailure
from kvd.backend.file.store.operations import Create, Delete, Operation, Sweep
from kvd.backend.file.store.store import Group, Limits, Store
from kvd.settings import Settings

log = logging.getLogger(__name__)

_SWEEP = Sweep(1000)
_UPKEEP_SECONDS = 1.0


class _Waiting:
    """An operation and, once it was decided and written, what became of it."""

    __slots__ = ("operation", "result")

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.result: int | DataStoreError | None = None


class LocalDataStore:
    """The store of one data file, in this process.

    Safe to call from many threads; what they write at the same time shares one commit. Not to be used in a forked
    child: open the file there, after it was closed here.

    >>> with LocalDataStore(path) as store:
    ...     store.create("key1", {"name": "value1"}, ttl=5)
    ...     store.read("key1")
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
        self._engine = JsonFile(chosen.data_file, sync=chosen.sync, max_file_bytes=chosen.max_file_bytes)
        self._store = Store(self._engine, Limits(**chosen.limits()), clock)
        self._clock = clock
        self._interval = chosen.sync == "interval"
        self._state = threading.Lock()  # held for moments, around every use of the store but its `write`
        self._commit = threading.Lock()  # held by the thread that is writing a group
        self._queue: list[_Waiting] = []
        self._closed = threading.Event()
        self._upkeep = threading.Thread(target=self._keep_up, name="kvd-upkeep", daemon=True)
        self._upkeep.start()

    def create(self, key: str, value: Any, ttl: float | None = None) -> int:
        """Store `value`, any JSON value, under a new `key`. Atomic; durable when it returns, with `sync="always"`.

        Without `ttl`, in seconds from now, the key never expires. Returns the store's revision after it. Raises
        `KeyExistsError`, the error of an invalid or too long key, value or TTL, or `StoreFullError`.
        """
        return self._change(Create({check_key(key): encode_value(value, key)}, check_ttl(ttl)))

    def read(self, key: str) -> Any:
        """Return the value of `key`. Raises `KeyNotFoundError` if it does not exist or has expired."""
        self._check_usable()
        check_key(key)
        with self._state:
            self._check_usable()  # another thread may have closed it
            value, _ = self._store.read(key)
        return json.loads(value)

    def delete(self, key: str) -> int:
        """Remove `key` and return the store's revision after it. Atomic. Raises `KeyNotFoundError`."""
        return self._change(Delete(check_key(key)))

    def batch_create(self, items: Mapping[str, Any], ttl: float | None = None) -> int:
        """Create all `items` (key → value) or none, in one commit. Returns and raises as `create` does; the error's
        `keys` are all those that stand in the way.
        """
        return self._change(Create(encode_items(items), check_ttl(ttl)))

    def __len__(self) -> int:
        """Return the number of keys, expired ones that were not swept yet included."""
        self._check_usable()
        return len(self._store)

    def close(self) -> None:
        """Finish what other threads are writing, and close the file. Does nothing the second time."""
        if getpid() != self._pid:
            self._engine.abandon()
            return
        self._closed.set()
        self._upkeep.join()
        with self._commit, self._state:
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

    def _change(self, operation: Operation) -> int:
        """Have `operation` carried out: by the thread that is writing if there is one, else by this one."""
        self._check_usable()
        waiting = _Waiting(operation)
        with self._state:
            self._queue.append(waiting)
        with self._commit:
            if waiting.result is None:
                self._check_usable()
                taken: list[_Waiting] = []
                try:
                    with self._state:
                        taken, self._queue = self._queue, []
                    self._carry_out(taken)
                finally:
                    _tell_of_interruption(taken)
        assert waiting.result is not None
        if isinstance(waiting.result, DataStoreError):
            raise waiting.result
        return waiting.result

    def _carry_out(self, taken: Sequence[_Waiting]) -> None:
        while taken:
            with self._state:
                group = self._store.decide([waiting.operation for waiting in taken])
            try:
                self._write(group)
                results = group.results
            except DataStoreError as error:
                results = [error] * len(group.results)
            for waiting, result in zip(taken, results, strict=False):
                waiting.result = result
            taken = taken[len(results) :]
            if self._store.compaction_due() or not results:
                self._compact()

    def _write(self, group: Group) -> None:
        try:
            self._store.write(group)
        except BaseException as error:
            with self._state:
                self._store.fail(group)
            if isinstance(error, EngineFailure):
                raise DataStoreError(str(error)) from None
            raise
        with self._state:
            self._store.finish(group)

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
        """Sweep expired keys, and sync if that is done in intervals, until the store is closed."""
        while not self._closed.wait(_UPKEEP_SECONDS):
            while self._sweep() and not self._closed.is_set():
                pass
            with self._commit:
                if self._interval:
                    try:
                        self._engine.sync()
                    except EngineFailure as error:
                        log.warning("%s", error)
                        return  # nothing can be written any more

    def _sweep(self) -> bool:
        """Remove some of the expired keys; tell whether there may be more that can be removed."""
        with self._commit:
            due, before = self._store.next_expiry(), self._engine.revision
            if due is not None and due <= self._clock():
                self._carry_out([_Waiting(_SWEEP)])
            return self._engine.revision != before


def _failure(job: DiskJob) -> Exception | None:
    """Run a part of a compaction and return the exception that ended it, for the compaction to handle."""
    try:
        job.run()
    except Exception as error:  # noqa: BLE001  # thrown into the compaction
        return error
    return None


def _tell_of_interruption(taken: Sequence[_Waiting]) -> None:
    """Give those an answer who have none, because an exception, such as a KeyboardInterrupt, ended their group."""
    for waiting in taken:
        if waiting.result is None:
            waiting.result = DataStoreError(
                "The write was interrupted in another thread. It may have been carried out."
            )
