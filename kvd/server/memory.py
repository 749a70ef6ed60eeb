"""Giving memory back once many clients have left.

libzmq needs about 60 KB for each connection. It frees them, but malloc keeps what was freed: after 500 clients at once
the daemon stayed at 57 MB, after more such bursts at 75 MB, where 43 MB are in use. `malloc_trim` gives all of it back
and takes a few milliseconds; fewer arenas or a lower threshold for trimming give back nothing.
"""

import ctypes
import resource
from pathlib import Path

_MUCH = (1 << 20) // resource.getpagesize()
"""Pages that are worth a look at whether they are in use."""
_TURNS = 4
"""So often it is given back after a burst: libzmq is not done with the last connections when it looks so."""


class Memory:
    """Asked regularly whether it is time, with `due`; `give_back` may then run in any thread."""

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
        self._needed = self._last = _resident()
        self._turns = 0

    def due(self) -> bool:
        """Tell whether the process has grown much since memory was last given back, and grows no more."""
        now = _resident()
        settled, self._last = now == self._last, now
        self._needed = min(self._needed, now)
        if now - self._needed >= _MUCH:
            self._turns = _TURNS
        if self._trim is None or not settled or self._turns == 0:
            return False
        self._turns -= 1
        return True

    def give_back(self) -> None:
        """Return free memory to the system. What stays is in use."""
        if self._trim is not None:
            self._trim(0)
        self._needed = _resident()


def _resident() -> int:
    """Return the pages of memory that the process has."""
    return int(Path("/proc/self/statm").read_bytes().split()[1])
