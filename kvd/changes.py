"""What was changed in the settings while a daemon runs."""

from pathlib import Path
from typing import Any

from kvclient.contract.errors import DataStoreError
from kvclient.contract.places import config_path
from kvd.settings import Settings


class Changes:
    """What was changed in the settings after a daemon took them: it keeps to its own until it is restarted."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._in_force = settings.in_force()
        self._seen = _stamp(config_path())
        self._changed: dict[str, Any] = {}
        self.error: str | None = None
        """Why the settings as they are now would not let a daemon start, if so."""

    def found(self) -> dict[str, Any]:
        """Return the settings that differ, with their values now. Reads the settings file only if it was changed."""
        if (stamp := _stamp(config_path())) != self._seen:
            self._seen = stamp
            self._changed, self.error = {}, None
            try:
                now = self._settings.as_they_are_now().in_force()
                self._changed = {name: value for name, value in now.items() if value != self._in_force[name]}
            except (DataStoreError, OSError, ValueError) as error:  # the file may be just being written
                self.error = str(error)
        return self._changed


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
