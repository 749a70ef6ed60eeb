"""What is done beside commits: compaction, syncing in intervals, watching the file."""

import logging
import time
from collections.abc import Callable

from kvclient.contract.errors import DataStoreError, StoreCorruptError
from kvd.backend.file.engine.interface import Compaction, DiskJob, Engine, EngineFailure
from kvd.backend.file.health import Health
from kvd.backend.file.store.store import Store
from kvd.worker import Worker

log = logging.getLogger(__name__)

_SYNC_SECONDS = 1.0
# What is not urgent is looked at so often: whether the file is still ours, whether a compaction is worth it, and the
# watchdog. Within a second somebody else's hand on the file must be noticed.
_LOOK_SECONDS = 0.5


class Upkeep:
    """Steps of upkeep, each short. The loop calls `look` and `step` when it is time for them."""

    def __init__(
        self,
        store: Store,
        health: Health,
        worker: Worker,
        *,
        sync_in_intervals: bool,
        beat: Callable[[], None],
    ) -> None:
        """`beat` is called in every `look`: for the watchdog, the loop's own sign of life."""
        self._beat = beat
        self._store = store
        self._engine: Engine = store.engine
        self._health = health
        self._worker = worker
        self._sync_in_intervals = sync_in_intervals
        self._next_sync = time.monotonic()
        self.next_look = 0.0
        """When to call `look`, on the monotonic clock."""
        self._compaction: Compaction | None = None
        self._job: DiskJob | None = None
        self._job_running = False
        self._syncing = False

    @property
    def compacting(self) -> bool:
        """Whether a compaction is under way."""
        return self._compaction is not None

    @property
    def wants_commits_held(self) -> bool:
        """Whether no commit may be started, because a step has to be alone."""
        return self._job is not None and self._job.alone

    @property
    def waits_for_loop(self) -> bool:
        """Whether a compaction is under way and its next step is the loop's."""
        return self._compaction is not None and not self._job_running

    def start_compaction(self) -> None:
        """Start a compaction if none is under way, and the file may be written."""
        if self._compaction is None and self._health.refusing is None:
            self._compaction = self._store.compact()

    def look(self, *, committing: bool) -> None:
        """See whether all is well and what should be done. `committing`: a commit is being written; so in `step`."""
        now = time.monotonic()
        self.next_look = now + _LOOK_SECONDS
        self._beat()
        if not committing and not self.wants_commits_held:
            self._health.verify()
            self._stop_if_refusing()
        if self._sync_in_intervals and now >= self._next_sync and not self._syncing:
            self._next_sync = now + _SYNC_SECONDS
            self._syncing = True
            self._worker.submit(self._engine.sync, self._synced)
        if self._compaction is None and self._store.compaction_due():
            self.start_compaction()

    def _synced(self, error: BaseException | None) -> None:
        self._syncing = False
        self._note(error)

    def _stop_if_refusing(self) -> None:
        if self._health.refusing is not None and not self._job_running:
            self._end_compaction()

    def step(self, *, committing: bool) -> None:
        """Go a step further with a compaction that is under way."""
        if self._job is None:
            self._resume()
        elif not self._job_running and not (self._job.alone and committing):
            self._job_running = True
            self._worker.submit(self._job.run, self._job_done)

    def _job_done(self, error: BaseException | None) -> None:
        self._job, self._job_running = None, False
        self._resume(error)

    def _resume(self, error: BaseException | None = None) -> None:
        assert self._compaction is not None
        try:
            self._job = self._compaction.throw(error) if error is not None else next(self._compaction)
        except StopIteration:
            self._end_compaction()
        except StoreCorruptError as failure:
            self._end_compaction()
            self._health.interfered(failure)
        except (OSError, DataStoreError, EngineFailure, MemoryError) as failure:
            self._end_compaction()
            log.warning("the compaction was given up: %s", failure)
            self._note(failure)

    def _end_compaction(self) -> None:
        if self._compaction is not None:
            self._compaction.close()
        self._compaction, self._job = None, None

    def _note(self, error: BaseException | None) -> None:
        if isinstance(error, EngineFailure):
            self._health.failure = error

    def close(self) -> None:
        """Give up a compaction that is under way. Its worker must have ended."""
        self._end_compaction()
