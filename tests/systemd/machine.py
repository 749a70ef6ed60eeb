"""A machine for tests: an ordinary user with a live `systemd --user` and a journal, in namespaces of its own.

Needs root on a Linux with systemd; nothing of the host is changed. The project is installed in it, at /srv/kvd, in a
virtual environment of the system's Python: one in root's home is out of an ordinary user's reach.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

from processes import wait_until

ROOT = Path(__file__).parents[2]
USER = "tester"
PYTHON = "/srv/kvd/bin/python"
_SYSTEM_PYTHON = "/usr/bin/python3"
_CGROUPS = Path("/sys/fs/cgroup")
_PROGRAMS = ("unshare", "nsenter", "setpriv", "useradd", "systemctl", "systemd-run", "journalctl")
_NAMESPACES = ("--mount", "--pid", "--cgroup", "--ipc")
_SEPARATE = ["unshare", *_NAMESPACES, "--fork", "--kill-child", "--mount-proc", "--propagation", "private", "--"]


def why_not() -> str | None:
    """Return what a machine needs and cannot have here; None if it has all."""
    needed = {
        "root on Linux": lambda: sys.platform == "linux" and os.geteuid() == 0,
        "systemd with its journal": lambda: Path("/lib/systemd/systemd-journald").exists(),
        ", ".join(_PROGRAMS): lambda: all(map(shutil.which, _PROGRAMS)),
        "control groups that may be written to": lambda: any(os.access(found, os.W_OK) for found in hierarchies()),
        "namespaces, which root may not make here": lambda: _succeeds(*_SEPARATE, "true"),
        f"{_SYSTEM_PYTHON} of 3.11 or later, with venv": lambda: _succeeds(
            _SYSTEM_PYTHON, "-c", "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"
        ),
    }
    return next((what for what, is_there in needed.items() if not is_there()), None)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def install_programs(directory: Path) -> None:
    """Install the project's wheel in `directory` for its life at /srv, together with the programs of the tests.

    With the versions of other packages that these tests themselves run with.
    """
    (directory / "constraints.txt").write_text(
        "".join(f"{found.name}=={found.version}\n" for found in distributions() if found.name != "kvd-store")
    )
    script = f"""
        mount --bind {directory} /srv
        {_SYSTEM_PYTHON} -m venv /srv/kvd
        /srv/kvd/bin/pip install --quiet --disable-pip-version-check \\
            --constraint /srv/constraints.txt {ROOT}[exporter,network]
        chmod --recursive a+rX /srv
    """
    for program in ("fill.py", "hanging.py", "probe.py", "slow_disk.py", "writer.py"):
        shutil.copy(Path(__file__).with_name(program), directory)
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-euc", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr


class Machine:
    """A running machine. `run` and `spawn` start commands as its user; `close` ends everything in it."""

    def __init__(self, programs: Path) -> None:
        name = f"kvd-test-{os.getpid()}-{next(tempfile._get_candidate_names())}"
        self._groups = [hierarchy / name for hierarchy in hierarchies()]
        for group in self._groups:
            group.mkdir()
        boot = ["/bin/bash", str(Path(__file__).with_name("boot.sh")), USER, str(programs)]
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._outer = subprocess.Popen(
            self._in_groups(*_SEPARATE, *boot),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd="/",
        )
        try:
            self.uid = self._order("start")
            self._init = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()[0]
        except BaseException:
            self.close()
            raise

    @property
    def home(self) -> Path:
        """The user's home, as the host sees it."""
        return Path("/proc", self._init, "root", "home", USER)

    def _in_groups(self, *command: str) -> list[str]:
        """Return a command that joins the machine's control groups first: they are how it is cleaned up."""
        join = "".join(f"echo $$ >{group}/cgroup.procs; " for group in self._groups)
        return ["/bin/sh", "-c", f'{join} exec "$@"', "sh", *command]

    def _as_user(self, *command: str) -> list[str]:
        enter = ["nsenter", "--target", self._init, *_NAMESPACES]
        become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "--reset-env"]
        variables = ["env", f"--chdir=/home/{USER}", f"XDG_RUNTIME_DIR=/run/user/{self.uid}", "LANG=C.UTF-8"]
        return self._in_groups(*enter, *become, *variables, *command)

    def run(self, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end; with `check`, it has to succeed."""
        done = subprocess.run(
            self._as_user(*command),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self.journal()}"
        return done

    def run_as_root(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command as the machine's root; it has to succeed."""
        enter = ["nsenter", "--target", self._init, *_NAMESPACES, "--"]
        done = subprocess.run(
            self._in_groups(*enter, *command), capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done

    def spawn(self, *command: str) -> "subprocess.Popen[str]":
        """Start a command. It ends with the machine at the latest."""
        return subprocess.Popen(
            self._as_user(*command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def kvctl(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return self.run("/srv/kvd/bin/kvctl", *arguments, check=check)

    def systemctl(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return self.run("systemctl", "--user", *arguments, check=check)

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.systemctl("show", f"--property={name}", "--value", unit).stdout.strip()

    def journal(self, unit: str | None = None, *options: str) -> str:
        """Return the messages of a unit, or of the user's whole journal."""
        about = [f"--unit={unit}"] if unit is not None else []
        command = ["journalctl", "--user", "--no-pager", "--output=cat", *about, *options]
        return subprocess.run(self._as_user(*command), capture_output=True, text=True, check=False, timeout=60).stdout

    def write(self, path: str, text: str) -> None:
        """Write a file of the user's, by its path in the home directory."""
        self.run("mkdir", "--parents", os.path.dirname(path) or ".")
        (self.home / path).write_text(text)
        os.chown(self.home / path, int(self.uid), -1)
        self.run("systemctl", "--user", "daemon-reload")

    def log_out_and_in(self) -> None:
        """Stop the user's manager with all that it started, and start it anew."""
        self._order("stop")
        self._order("start")

    def _order(self, order: str) -> str:
        assert self._outer.stdin is not None
        assert self._outer.stdout is not None
        self._outer.stdin.write(f"{order}\n")
        self._outer.stdin.flush()
        answer = self._outer.stdout.readline().split()
        self._log.seek(0)
        assert answer[:2] == ["done", order], self._log.read()
        return answer[2]

    def close(self) -> None:
        self._outer.kill()
        self._outer.communicate()
        self._log.close()
        for group in self._groups:
            wait_until(lambda group=group: _removed(group))


def _removed(group: Path) -> bool:
    """Remove a control group with those in it, if the last process of them is gone."""
    try:
        for below, _, _ in os.walk(group, topdown=False):
            os.rmdir(below)
    except OSError:
        return False
    return True


def hierarchies() -> list[Path]:
    """Return the control group hierarchies that systemd looks at: one on most machines, two beside an old one."""
    found = [_CGROUPS, _CGROUPS / "unified", _CGROUPS / "systemd"]
    return [hierarchy for hierarchy in found if (hierarchy / "cgroup.procs").exists()]
