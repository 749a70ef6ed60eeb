"""constraints.txt, with which README and CI install, covers what pyproject.toml requires."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_requirement_has_a_tested_version():
    """What is required later, and forgotten in constraints.txt, would be installed in whatever version is newest."""
    required = subprocess.check_output([sys.executable, ROOT / ".ci" / "requirements", ">="], text=True).splitlines()
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    tested = {normal(re.split("==", line)[0]) for line in lines}

    assert [] == [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.+!]+( ; .+)?", line)]
    assert set() == {normal(re.split(r"[\[<>=!~; ]", line)[0]) for line in required} - tested


def normal(name):
    return re.sub("[-_.]+", "-", name).lower()
