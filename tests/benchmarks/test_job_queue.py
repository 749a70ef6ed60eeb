"""The benchmark of queues, in a form that is too short to measure anything."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("how", [[], ["--next"]], ids=["get", "next"])
def test_job_queue_runs_and_reports(memory, how):
    """All jobs go through, and the rate is printed; with Redis where that is installed."""
    command = [sys.executable, Path(__file__).with_name("job_queue.py"), "--jobs", "80", "--rounds", "1", *how]
    run = subprocess.run([*command, "--directory", memory], capture_output=True, text=True, timeout=120, check=False)

    assert "" == run.stderr
    assert run.stdout.startswith("kvd ")
    assert " jobs/s " in run.stdout
