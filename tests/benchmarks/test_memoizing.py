"""The benchmark of memoized functions, in a form that is too short to measure anything."""

import subprocess
import sys
from pathlib import Path


def test_memoizing_runs_and_reports_everything():
    """Each candidate returns the right value, and has a line."""
    command = [sys.executable, Path(__file__).with_name("memoizing.py"), "1", "3"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert (0, "") == (run.returncode, run.stderr)
    assert ["kvd", "kvd in-process", "lru_cache", "diskcache"] == [
        line.partition(":")[0] for line in run.stdout.splitlines() if not line.startswith("Redis")
    ]
