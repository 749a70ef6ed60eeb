"""The packages' type hints as pyright sees them. (mypy runs over tests/typing by itself.)"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def pyright(*arguments):
    """Run pyright on what is imported here, and return what it found."""
    if shutil.which("pyright") is None:
        pytest.skip("pyright is not installed (pip install 'pyright[nodejs]')")
    done = subprocess.run(
        ["pyright", "--pythonpath", sys.executable, "--outputjson", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_users_see_the_types_that_are_pinned():
    """tests/typing/api.py, whose assertions mypy checks as well."""
    found = pyright("tests/typing/api.py")

    assert [] == found["generalDiagnostics"]
    assert 1 == found["summary"]["filesAnalyzed"]


USED = re.compile(
    r"kvclient\.contract\.(errors|records|face|async_face|calls|watching)\."
    r"|kvclient\.recipes\.((async_)?(face|mapping|memoize)|namespace|lock|queue)\."
    r"|kvd\.local\.Lo"
)
"""What users meet: classes that are exported, and what their methods return."""


@pytest.mark.parametrize("package", ["kvclient", "kvd"])
def test_what_users_meet_has_types(package):
    """Every parameter, result and attribute, as far as pyright can tell."""
    found = pyright("--ignoreexternal", "--verifytypes", package)["typeCompleteness"]
    used = {
        symbol["name"]: symbol["isTypeKnown"]
        for symbol in found["symbols"]
        if symbol["isExported"] and (USED.match(symbol["name"]) or symbol["name"].count(".") == 1)
    }

    assert [] == [name for name, known in used.items() if not known]
    assert 10 < len(used)
