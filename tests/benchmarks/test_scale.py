"""The benchmark of large files, in a form that is too short to measure anything."""

import subprocess
import sys
from pathlib import Path


def test_scale_runs_and_reports_everything(memory):
    """Every comparison is made and its result printed."""
    options = {"--records": "3000", "--rounds": "1", "--seconds": "0.5", "--directory": memory}
    command = [
        sys.executable,
        Path(__file__).with_name("scale.py"),
        *(part for pair in options.items() for part in pair),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert "" == run.stderr
    for what in ("3,000 records", "open ", "memory ", "create ", "read ", "delete ", "while compacting", "keys expire"):
        assert what in run.stdout
