"""What the loop does beside serving: compaction, syncing in intervals, watching the file."""

import logging
import time
from collections.abc import Callable

from kvclient.errors import DataStoreError, StoreCorruptError
from kvd.engine import Compaction, DiskJob, Engine, EngineFailure
from kvd.server.worker import Worker
from kvd.store.store import Store

log = logging.getLogger(__name__)

_SYNC_SECONDS = 1.0
_VERIFY_SECONDS = 0.5


class Upkeep:
    """Steps of upkeep, each short. `step` is called once a round of the loop."""

    def __init__(
        self, store: Store, engine: Engine, worker: Worker, *, sync_in_intervals: bool, beat: Callable[[], None]
    ) -> None:
        """`beat` is called in every step: for the watchdog, the loop's own sign of life."""
        self._beat = beat
        self._store = store
        self._engine = engine
        self._worker = worker
        self._sync_in_intervals = sync_in_intervals
        self._next_sync = self._next_verify = time.monotonic()
        self._compaction: Compaction | None = None
        self._job: DiskJob | None = None
        self._job_running = False
        self._syncing = False
        self.compaction_failed = False
        """Whether the last compaction was given up, so that waiting for another is of no use now."""
        self.failure: EngineFailure | None = None
        """Why the daemon has to end."""
        self.interference: StoreCorruptError | None = None
        """Why nothing may be written any more."""

    @property
    def compacting(self) -> bool:
        """Whether a compaction is under way."""
        return self._compaction is not None

    @property
    def wants_loop(self) -> bool:
        """Whether there is a step to be done right now."""
        return self._compaction is not None and self._job is None

    @property
    def wants_commits_held(self) -> bool:
        """Whether no commit may be started, because a step has to be alone."""
        return self._job is not None and self._job.alone

    def start_compaction(self) -> None:
        """Start a compaction if none is under way."""
        if self._compaction is None:
            self.compaction_failed = False
            self._compaction = self._store.compact()

    def step(self, *, committing: bool) -> None:
        """Do a little of what is due; `committing` tells whether a commit is being written."""
        self._beat()
        if self._compaction is not None:
            self._step_compaction(committing=committing)
        elif self.interference is None and not self.compaction_failed and self._store.compaction_due():
            self.start_compaction()
        now = time.monotonic()
        if now >= self._next_verify and not committing and not self.wants_commits_held:
            self._next_verify = now + _VERIFY_SECONDS
            self.compaction_failed = False
            self._verify()
        if self._sync_in_intervals and now >= self._next_sync and not self._syncing:
            self._next_sync = now + _SYNC_SECONDS
            self._syncing = True
            self._worker.submit(self._engine.sync, self._synced)

    def _synced(self, error: BaseException | None) -> None:
        self._syncing = False
        self._note(error)

    def _verify(self) -> None:
        if self.interference is None:
            try:
                self._engine.verify()
            except StoreCorruptError as error:
                self.interfered(error)

    def interfered(self, error: StoreCorruptError) -> None:
        """Stop all writing, because another program changed the file, and save what is known of it."""
        log.error("%s", error)
        if self._compaction is not None and not self._job_running:
            self._end_compaction()
        try:
            saved = f"What the daemon held is saved in {self._engine.rescue()}."
        except OSError as failure:
            saved = f"What the daemon holds could not be saved: {failure}."
        self.interference = StoreCorruptError(f"{error} {saved} Put the right file in place and restart the daemon.")
        log.error("%s", self.interference)

    def _step_compaction(self, *, committing: bool) -> None:
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
            self.interfered(failure)
        except (OSError, DataStoreError, EngineFailure) as failure:
            self._end_compaction()
            self.compaction_failed = True
            log.warning("the compaction was given up: %s", failure)
            self._note(failure)

    def _end_compaction(self) -> None:
        if self._compaction is not None:
            self._compaction.close()
        self._compaction, self._job = None, None

    def _note(self, error: BaseException | None) -> None:
        if isinstance(error, EngineFailure):
            self.failure = error

    def timeout(self) -> float:
        """Return in how many seconds `step` wants to be called again at the latest."""
        if self.wants_loop:
            return 0.0
        due = min(self._next_verify, self._next_sync) if self._sync_in_intervals else self._next_verify
        return max(0.0, due - time.monotonic())

    def close(self) -> None:
        """Give up a compaction that is under way."""
        if not self._job_running:
            self._end_compaction()
