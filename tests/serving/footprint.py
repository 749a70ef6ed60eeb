"""What a daemon uses of the machine."""

from pathlib import Path

from processes import Daemon, wait_until


class Footprint:
    """The descriptors, threads and memory of a daemon that runs."""

    def __init__(self, daemon: Daemon) -> None:
        assert daemon.process is not None
        self._daemon = daemon
        self._proc = Path("/proc", str(daemon.process.pid))

    def descriptors(self) -> int:
        return len(list((self._proc / "fd").iterdir()))

    def threads(self) -> int:
        return len(list((self._proc / "task").iterdir()))

    def wait_until_back_at(self, before: tuple[int, int]) -> None:
        """Wait until there are no more descriptors and threads than before."""
        wait_until(lambda: self.descriptors() <= before[0] and self.threads() <= before[1])

    def memory(self) -> int:
        return self._daemon.resident()
