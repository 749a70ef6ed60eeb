"""Every system call that touches the data file, one run each with SIGKILL or an error in its place.

`strace` does both: it counts the calls that name the file or its neighbours, and shoots at the one that it is told.
"""

import json
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from scenario import prepare

from processes import environment
from stores import Opened, as_others_read, assert_sound, contents

SCENARIO = Path(__file__).with_name("scenario.py")
SAMPLE = 2
"""How many calls of each name are tried, for each scenario, in the short form."""

# What may befall each call. Those on the lock change nothing in the file.
ERRORS = {
    "openat": ["EACCES", "ENOSPC"],
    "pwrite64": ["ENOSPC", "EIO"],
    "pwritev": ["ENOSPC", "EIO"],
    "sendfile": ["ENOSPC", "EIO", "EINVAL"],
    "fdatasync": ["EIO"],
    "fsync": ["EIO"],
    "ftruncate": ["EIO"],
    "rename": ["ENOSPC", "EIO"],
    "link": ["EIO", "EPERM"],
    "unlink": ["EIO"],
}
CALLS = ",".join(ERRORS)
pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@pytest.fixture(params=["commit", "compaction", "recovery", "mending", "takeover", "conversion"])
def arena(request, directory):
    return Arena(request.param, directory)


class Arena:
    """A scenario, and a fresh file for each of its runs."""

    def __init__(self, name, directory):
        self.name = name
        self.directory = directory
        self.runs = 0

    def prepare(self):
        self.runs += 1
        place = self.directory / str(self.runs)
        place.mkdir()
        self.file = place / "store.json"
        self.journal = place / "journal"
        if self.name == "conversion":
            self.file.write_text(json.dumps({f"base{n}": {"value": "x" * 50} for n in range(3)}, indent=4))
        else:
            prepare(
                self.file,
                torn=self.name == "recovery",
                broken=self.name == "mending",
                edited=self.name == "takeover",
            )

    def run(self, *inject):
        """Run the scenario and return its exit status and the calls that were made."""
        self.prepare()
        log = self.file.with_name("calls")
        near = [f"{self.file}{end}" for end in ("", ".compacting", ".lock")]
        watched = [option for path in [*near, str(self.file.parent)] for option in ("-P", path)]
        # With a filter in the kernel Python starts at its usual speed, but strace 6.1 then sends no signals.
        filtered = [] if any("signal=" in option for option in inject) else ["--seccomp-bpf"]
        strace = ["strace", *filtered, "-f", "-qq", "-o", log, "-e", f"trace={CALLS}"]
        process = subprocess.run(
            [*strace, *watched, *inject, sys.executable, SCENARIO, self.name, self.file, self.journal],
            env=environment(self.directory, PYTHONPATH=str(SCENARIO.parents[1])),
            capture_output=True,
            text=True,
            check=False,
        )
        calls = re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE)
        return process, Counter(calls)

    def assert_right(self):
        """Compare the file with what the journal says; then use it and examine it."""
        sure = {f"base{number}": "x" * 50 for number in range(3)}
        if self.name == "mending":
            del sure["base0"]
        if self.name == "takeover":
            sure["base0"] = "edited " + sure["base0"]
        maybe = {}
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        for line in lines:
            kind, *rest = json.loads(line)
            if kind == "ask":
                maybe = rest[0]
            elif kind == "done":
                sure |= maybe
                maybe = {}
            elif kind == "refused" and "uncertain" not in rest[0]:
                maybe = {}
        sure = {key: value for key, value in sure.items() if value is not None}

        if self.name == "mending" and "bXse0" in self.file.read_text():
            self.finish_mending()
        found = contents(self.file)
        with_it = {key: value for key, value in (sure | maybe).items() if value is not None}
        assert found in (sure, with_it)
        assert found == as_others_read(self.file)
        assert_sound(self.file)
        with Opened(self.file) as store:
            store.create("afterwards", True)
        names = {path.name for path in self.file.parent.iterdir()} - {"journal", "calls"}
        assert names <= {"store.json", *(name for name in names if ".damaged-" in name or ".original-" in name)}
        assert len(names) <= 2

    def finish_mending(self):
        from kvd.backend.file.engine.repair import repair

        assert repair(self.file).kept is not None


def points(calls, each, long):
    """Return all calls by name and number, with what may be put in the place of each; or a sample of each name."""
    found = []
    for name, count in calls.items():
        some = [f"{name}:{what}:when={number}" for number in range(1, count + 1) for what in each(name)]
        found += some if long else random.sample(some, min(SAMPLE, len(some)))
    return found


@pytest.mark.timeout(1800)
def test_killed_at_any_system_call_nothing_acknowledged_is_lost(arena, long):
    """Killed at any call that touches the file, a process leaves one that opens with all that was acknowledged, with
    no batch half there, and with no debris that the next start does not clear.
    """
    process, calls = arena.run()
    assert process.returncode == 0, process.stderr
    arena.assert_right()
    for point in points(calls, lambda _: ["signal=SIGKILL"], long):
        print(arena.name, point)
        process, _ = arena.run("-e", f"inject={point}")
        assert process.returncode == -9
        if arena.name not in {"recovery", "mending"}:  # which start with a file that is none
            assert json.loads(arena.file.read_bytes())
        arena.assert_right()


@pytest.mark.timeout(1800)
def test_an_error_of_any_system_call_loses_nothing_acknowledged(arena, long):
    """Whichever call fails, the process goes on or ends with a message, and the file has all that was acknowledged."""
    _, calls = arena.run()
    for point in points(calls, lambda name: [f"error={error}" for error in ERRORS[name]], long):
        print(arena.name, point)
        process, _ = arena.run("-e", f"inject={point}")
        assert process.returncode in {0, 3}, process.stderr
        arena.assert_right()
