"""Telling systemd how the daemon is (sd_notify(3)): one datagram a message, to the socket that it names.

Without systemd every method does nothing.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kvclient.screen.quantities import bytes_text

# While the data file is opened, each sign of progress asks for this much more time to start.
_EXTENSION_SECONDS = 60
_PROGRESS_SECONDS = 0.5
_STATUS_SECONDS = 1.0


class Notifier:
    """Sends what there is to tell, no oftener than it is useful. For one thread, the serving loop's."""

    def __init__(
        self, environment: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.monotonic
    ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._clock = clock
        self._feed_seconds = _feed_seconds(environment)
        self._next_look = self._next_feed = self._next_progress = 0.0
        self._status = ""

    def opening(self, path: Path, done: int, size: int) -> None:
        """Tell of `done` bytes of a data file that were read, and ask for the time to read the rest."""
        now = self._clock()
        if now >= self._next_progress:
            self._next_progress = now + _PROGRESS_SECONDS
            share = f"{done / size:.0%} of {bytes_text(size)}" if size else "…"
            self._send(f"STATUS=Opening {path}: {share}", f"EXTEND_TIMEOUT_USEC={_EXTENSION_SECONDS * 1_000_000}")

    def ready(self, status: str) -> None:
        """Tell that requests are answered from now on."""
        self._status = status
        self._send("READY=1", f"STATUS={status}", must_arrive=True)

    def beat(self, status: Callable[[], str]) -> None:
        """Feed the watchdog and tell the status, if it is time for either. Called once a round of the loop."""
        now = self._clock()
        if now < self._next_look:
            return
        self._next_look = now + min(_STATUS_SECONDS, self._feed_seconds or _STATUS_SECONDS)
        lines = []
        if self._feed_seconds and now >= self._next_feed:
            self._next_feed = now + self._feed_seconds
            lines.append("WATCHDOG=1")
        if (told := status()) != self._status:
            self._status = told
            lines.append(f"STATUS={told}")
        if lines:
            self._send(*lines)

    def reloading(self) -> None:
        """Tell that the settings are read anew."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", must_arrive=True)

    def reloaded(self) -> None:
        """Tell that this has ended, well or not."""
        self._send("READY=1", must_arrive=True)

    def stopping(self) -> None:
        """Tell that no request is taken any more."""
        self._send("STOPPING=1", "STATUS=Stopping", must_arrive=True)

    def _send(self, *lines: str, must_arrive: bool = False) -> None:
        """Send a message. One that will be followed by another is dropped where it would have to wait."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(5.0 if must_arrive else 0.0)
                sender.sendto("\n".join(lines).encode("utf-8", "backslashreplace"), self._address)
        except OSError:
            pass  # a manager that cannot be told is no reason to stop serving


def summary(status: Mapping[str, Any]) -> str:
    """Return what `systemctl status` shows a person of a daemon's `status`."""
    trouble = status.get("refusing")
    doing = "Refusing writes" if trouble else "Compacting" if status["compacting"] else "Serving"
    size = f"{bytes_text(status['file_bytes'])} of {bytes_text(status['max_file_bytes'])}"
    text = f"{doing}: {status['keys']:,} key{'' if status['keys'] == 1 else 's'}, {size}"
    return f"{text}. {' '.join(trouble.split())}" if trouble else text


def _feed_seconds(environment: Mapping[str, str]) -> float:
    """Return how often the watchdog is to be fed, three times as often as it asks for; 0.0 if there is none."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 3e6 if microseconds.isdecimal() else 0.0
