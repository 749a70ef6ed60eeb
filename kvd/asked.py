"""A request of this process, and its reply."""

import os
import threading

from kvclient.contract.errors import DataStoreError
from kvd.backend.asking import Owner
from kvd.processes import named_process, this_process
from kvd.replies import refusal


class Asked:
    """Waits for the reply; see `kvd.backend.asking.Asker`."""

    __slots__ = ("_event", "body", "reads")

    def __init__(self) -> None:
        self.body = b""
        """The reply; empty until there is one."""
        self._event: threading.Event | None = None
        self.reads = 0

    @property
    def answered(self) -> bool:
        """Whether the reply is there."""
        return bool(self.body)

    def reply(self, body: bytes) -> None:
        """Take the reply."""
        self.body = body
        if self._event is not None:
            self._event.set()

    def refuse(self, error: DataStoreError) -> None:
        """Take the refusal."""
        self.reply(refusal(error))

    def owner(self, ephemeral: bool | int) -> Owner:
        """Return the process to bind a key to."""
        return this_process() if ephemeral is True else named_process(int(ephemeral), os.getuid())

    def wait(self, seconds: float) -> None:
        """Wait for the reply, for so many seconds at most."""
        self._event = threading.Event()
        if not self.body:
            self._event.wait(seconds)
