"""What docs/adapters.md shows does what it says."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from processes import environment, kvctl

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adapters.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
SETTINGS = next(block for block in BLOCKS if block.startswith("# settings.py"))
CONFIGURE = "\nfrom django.conf import settings\nsettings.configure(CACHES=CACHES)\n"


def program(block):
    """Return a block as a program that fails where something does not come to what stands behind its arrow."""
    block = re.sub(r"^( *)(\S.*?) +# → (.*)$", r"\1assert (\2) == \3, \2", block, flags=re.MULTILINE)
    return SETTINGS + CONFIGURE + block if "django" in block else block


def ran(arguments, directory):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env=environment(directory, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("block", [block for block in BLOCKS if "def test_" not in block])
def test_examples_run(block, directory):
    """Each block does what its comments say, with no daemon there before."""
    for framework in ("cachelib", "django", "flask_caching", "flask_session", "key_value"):
        if re.search(rf"\b{framework}\b", block) and importlib.util.find_spec(framework) is None:
            pytest.skip(f"{framework} is not installed")
    try:
        ran(["-c", program(block)], directory)
    finally:
        for socket in (directory / "run" / "kvd").glob("*.sock"):
            assert 0 == kvctl("stop", "--store", socket.stem, directory=directory).returncode


def test_example_of_the_plugin_runs(directory):
    """As tests of somebody else's."""
    (block,) = [block for block in BLOCKS if "def test_" in block]
    (directory / "test_counting.py").write_text(block)

    told = ran(["-m", "pytest", "-p", "no:cacheprovider", "-p", "no:kvd", "-p", "kvclient.adapters.pytest"], directory)
    assert "2 passed" in told
