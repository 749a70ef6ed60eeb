"""Real processes for tests: a daemon with a directory of its own, and clients."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import zmq

KVD = [sys.executable, "-m", "kvd"]
KVCTL = [sys.executable, "-c", "from kvclient.cli import main; main()"]


def wait_until(condition, seconds=30.0):
    """Poll until `condition()` is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come true within {seconds} s"
        time.sleep(0.01)
    return result


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def runs(pid: int) -> bool:
    """Tell whether there is such a process. One that has ended and was not waited for by its parent is none."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def environment(directory: Path, **more: str) -> dict[str, str]:
    """Return an environment in which everything that kvd touches lies below `directory`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "KVD_TRANSPORT" or not name.startswith(("KVD_", "XDG_"))
    }
    runtime = directory / "run"
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {**kept, "HOME": str(directory), "XDG_RUNTIME_DIR": str(runtime), **more}


class Daemon:
    """A `kvd` process on a file and an endpoint below `directory`."""

    def __init__(self, directory: Path, *options: str, prefix: tuple[str, ...] = (), **variables: str) -> None:
        self.directory = directory
        self.file = directory / "store.json"
        self.endpoint = f"ipc://{directory}/store.sock"
        self.options = options
        self.prefix = prefix
        self.variables = {f"KVD_{name.upper()}": value for name, value in variables.items()}
        self.log = directory / "kvd.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Daemon":
        self.launch()
        wait_until(self.answers)
        return self

    def launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, *KVD, "--file", str(self.file), "--endpoint", self.endpoint, *self.options],
                stderr=log,
                env=environment(self.directory, **self.variables),
            )
        return self.process

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.ask(b'{"op":"ping"}', timeout=0.2) == b'{"ok":true}'
        except zmq.Again:
            return False

    def ask(self, request: bytes, timeout: float = 20.0) -> bytes:
        """Send one request as any program would, with a bare REQ socket."""
        with zmq.Context() as context, context.socket(zmq.REQ) as asking:
            asking.setsockopt(zmq.LINGER, 0)
            asking.setsockopt(zmq.RCVTIMEO, int(timeout * 1000))
            asking.connect(self.endpoint)
            asking.send(request)
            return asking.recv()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the process with a signal and return its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def resident(self) -> int:
        """Return the bytes of memory that the process has."""
        assert self.process is not None
        return resident(self.process.pid)

    def raw(self) -> socket.socket:
        """Return a connection to the daemon's socket on which nothing was said yet."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.endpoint.removeprefix("ipc://"))  # waits where too many others have come before
        connection.settimeout(30)
        return connection

    def freeze(self) -> None:
        """Stop the process from running, and return when it does not any more."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        state = Path(f"/proc/{self.process.pid}/stat")
        wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def check(self) -> subprocess.CompletedProcess[str]:
        """Run `kvd check` on the file."""
        return subprocess.run([*KVD, "check", str(self.file)], capture_output=True, text=True, check=False)


def kvctl(*arguments: str, directory: Path, stdin: str | None = None, **variables: str):
    """Run kvctl as a process and return its completed form, with text output."""
    return subprocess.run(
        [*KVCTL, *arguments],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(directory, **variables),
    )
