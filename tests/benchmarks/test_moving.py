"""The benchmark of import and export, in a form that is too short to measure anything."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("form", ["lines", "object"])
def test_moving_runs_and_reports_everything(memory, form):
    """Every step is made and its result printed."""
    options = {"--records": "3000", "--seconds": "0.2", "--directory": memory, "--format": form}
    command = [
        sys.executable,
        Path(__file__).with_name("moving.py"),
        *(part for pair in options.items() for part in pair),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert "" == run.stderr
    for what in (
        "undisturbed, empty",
        "import  ",
        "undisturbed, full",
        "export --format",
        "import --on-conflict replace",
    ):
        assert what in run.stdout
