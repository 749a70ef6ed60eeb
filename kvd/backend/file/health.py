"""Whether the data file may be written: the one place that knows why it may not."""

import logging
from collections.abc import Callable

from kvclient.contract.errors import DataStoreError, StoreCorruptError
from kvd.backend.file.engine.interface import Engine, EngineFailure

log = logging.getLogger(__name__)


class Health:
    """Interference by other programs, and failures of the disk."""

    def __init__(self, engine: Engine, advice: str, beat: Callable[[], None] = lambda: None) -> None:
        """`advice` tells what to do once the file was interfered with; `beat` is called while it is rescued."""
        self._engine = engine
        self._advice = advice
        self._beat = beat
        self.refusing: StoreCorruptError | None = None
        """Why nothing may be written any more; reads go on."""
        self.failure: EngineFailure | None = None
        """Why all has to end: only a new start tells what is on the disk."""

    def verify(self) -> None:
        """See whether another program interfered."""
        if self.refusing is None:
            try:
                self._engine.verify()
            except StoreCorruptError as error:
                self.interfered(error)

    def interfered(self, error: StoreCorruptError) -> None:
        """Refuse all writing, because another program changed the file, and save once what is known of it."""
        if self.refusing is not None:
            return
        log.error("%s", error)
        try:
            saved = f"What was in it is saved in {self._engine.rescue(self._beat)}."
        except Exception as failure:
            log.exception("the rescue failed")
            saved = f"What was in it could not be saved: {failure}."
        self.refusing = StoreCorruptError(f"{error} {saved} {self._advice}")
        log.error("%s", self.refusing)

    def judge(self, error: BaseException) -> DataStoreError:
        """Return what those are told whose commit ended in `error`. Raises an error that nobody expects."""
        match error:
            case StoreCorruptError():
                self.interfered(error)
                return self.refusing or error
            case EngineFailure():
                self.failure = error
                return DataStoreError(f"{error} Whether this operation was carried out is uncertain.")
            case DataStoreError():
                return error
            case MemoryError():
                return out_of_memory()
            case _:
                raise error


def out_of_memory() -> DataStoreError:
    """Return what those are told for whose request there is no memory."""
    return DataStoreError(
        "There is not enough memory for this request. Nothing was changed; send less at a time, or give kvd more."
    )
