"""What the kernel tells of files that were moved, removed or written to: inotify(7), which Python's library lacks."""

import ctypes
import os
import select

# From <sys/inotify.h>. Removing a name of a file changes its count of names, which is an attribute.
ATTRIBUTES, CLOSED_BY_WRITER, MOVED = 0x4, 0x8, 0x800

_BUFFER_BYTES = 4096

_libc = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """Whether anything has happened to a set of files."""

    def __init__(self) -> None:
        """Raises `OSError` if the user has too many already (fs.inotify.max_user_instances)."""
        self._fd = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def add(self, path: str, events: int) -> None:
        """Listen for `events` of the file at `path`. Raises `OSError`, also for a directory that may not be read."""
        _checked(_libc.inotify_add_watch(self._fd, os.fsencode(path), events))

    def happened(self) -> bool:
        """Tell whether anything has happened since the last call."""
        if not self._poll.poll(0):
            return False
        os.read(self._fd, _BUFFER_BYTES)
        return True

    def close(self) -> None:
        """Free the descriptor."""
        os.close(self._fd)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
