"""A terminal of a chosen size for tests of what a person sees."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from processes import KVCTL, environment

COLOUR = re.compile("\x1b\\[[0-9;]*m")


class Terminal:
    """kvctl on a terminal: what it prints comes to `text`, line ends as they are in files."""

    def __init__(self, directory, *arguments, columns=80, term="xterm-256color", stdin=False, **variables):
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environ = environment(directory, TERM=term, PYTHONUNBUFFERED="", **variables)
        for name in ("NO_COLOR", "COLUMNS", "LINES"):
            if name not in variables:
                environ.pop(name, None)
        self.process = subprocess.Popen(
            [*KVCTL, *arguments], env=environ, stdin=its if stdin else subprocess.DEVNULL, stdout=its, stderr=its
        )
        os.close(its)
        self._ours = ours
        self._printed = b""

    @property
    def text(self):
        return self._printed.decode(errors="replace").replace("\r\n", "\n")

    def type(self, text):
        os.write(self._ours, text.encode())

    def interrupt(self):
        """Do what Ctrl-C does on the terminal that a process belongs to."""
        self.process.send_signal(signal.SIGINT)

    def wait_for(self, text, seconds=30):
        """Return when it has printed `text`."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < deadline, self.text
            assert self._read(0.2), f"it ended with {self.text!r}"

    def end(self, code=0):
        """Return all that it printed, when it has ended with this exit code."""
        while self._read(30):
            pass
        assert code == self.process.wait(timeout=30), self.text
        self.close()
        return self.text

    def hang_up(self):
        """What happens when somebody closes the window."""
        os.close(self._ours)
        self._ours = None

    def close(self):
        self.process.kill()
        self.process.wait()
        if self._ours is not None:
            self.hang_up()

    def _read(self, seconds):
        """Take what is printed within so many seconds, and return whether more may come."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return True
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:  # how a terminal tells that its last user is gone
            return False
        self._printed += chunk
        return bool(chunk)


def without_colour(text):
    return COLOUR.sub("", text)
