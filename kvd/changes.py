"""What was changed in the settings while a daemon runs."""

from pathlib import Path
from typing import Any

from kvclient.contract.errors import DataStoreError
from kvclient.contract.places import config_path
from kvd.settings import Settings

RELOADED = ("access",)
"""The settings that a reload applies; the others are taken at the start."""


class Changes:
    """What was changed in the settings after a daemon took them: it keeps to its own until a restart or a reload."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._in_force = settings.in_force()
        self._seen = _stamp(config_path())
        self._changed: dict[str, Any] = {}
        self.error: str | None = None
        """Why the settings as they are now would not let a daemon start, if so."""

    def found(self) -> dict[str, Any]:
        """Return the settings that a restart would change, with their values then.

        Reads the settings file only if it was changed.
        """
        if _stamp(config_path()) != self._seen:
            self.read()
        return {name: value for name, value in self._changed.items() if name not in RELOADED}

    @property
    def reloadable(self) -> list[str]:
        """Which settings a reload would change, as of the last `found`."""
        return [name for name in self._changed if name in RELOADED]

    def read(self) -> Settings | None:
        """Read the settings, whether the file was changed or not, and return them; None if they are invalid."""
        self._seen = _stamp(config_path())
        self._changed, self.error = {}, None
        try:
            settings = self._settings.as_they_are_now()
            now = settings.in_force()
        except (DataStoreError, OSError, ValueError) as error:  # the file may be just being written
            self.error = str(error)
            return None
        self._changed = {name: value for name, value in now.items() if value != self._in_force[name]}
        return settings

    def applied(self) -> None:
        """Take note that a reload has put into force what it can of the settings that were read last."""
        for name in self.reloadable:
            self._in_force[name] = self._changed.pop(name)


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
