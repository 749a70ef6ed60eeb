"""Reading the settings anew while the daemon serves, as SIGHUP asks for: rights, and whatever else can change."""

import logging
from collections.abc import Callable

from kvd.changes import Changes
from kvd.server.notify import Notifier
from kvd.settings import Settings
from kvd.worker import Wakeup

log = logging.getLogger(__name__)

Apply = Callable[[Settings], None]
"""Puts into force what is in the settings, which are valid. Called in the loop's thread, and does not raise."""


class Reload:
    """Has those who take part apply the settings. Invalid ones leave everything as it is."""

    def __init__(self, changes: Changes, notifier: Notifier, wakeup: Wakeup) -> None:
        self._changes = changes
        self._notifier = notifier
        self._wakeup = wakeup
        self.parts: list[Apply] = []
        """Who applies something, in this order, and each on every reload."""

    def ask(self) -> None:
        """Have the loop reload. Callable from a signal handler."""
        self._wakeup.put(lambda _: self(), None)

    def __call__(self) -> None:
        """Reload now, in the loop's thread."""
        self._notifier.reloading()
        settings = self._changes.read()
        if settings is None:
            log.error("the settings were not reloaded, and the old ones stay in force: %s", self._changes.error)
        else:
            for apply in self.parts:
                apply(settings)
            self._changes.applied()
            log.info("reloaded the settings")
            if later := self._changes.found():
                log.warning("what was changed of %s counts from the next start on", ", ".join(later))
        self._notifier.reloaded()
