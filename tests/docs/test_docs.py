"""What README and docs/ say is true: their examples are run, their tables compared with the program."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import reference

from kvclient.contract.operations import OPERATIONS
from kvd.settings import Settings
from processes import environment, kvctl

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "docs" / "recipes").glob("*.md"))
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *RECIPES])


@pytest.fixture
def autostarted(directory):
    """A home in which the first use starts a daemon, which ends with the test."""
    yield directory
    kvctl("stop", directory=directory)


def test_python_of_the_readme_runs(autostarted):
    """The example of the Python API does what its comments say."""
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    check = "\nprint(store.read('key3'))\ntry:\n    store.read('key1')\nexcept KeyError as error:\n    print(error)\n"
    run = subprocess.run(
        [sys.executable, "-c", block + check],
        env=environment(autostarted),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "" == run.stderr
    assert "{'name': 'value3'}\nKey 'key1' does not exist, or has expired.\n" == run.stdout


@pytest.mark.parametrize("page", RECIPES, ids=lambda page: page.name)
def test_recipe_runs(page, autostarted):
    """The Python blocks of a recipe's page, one after the other, print what its text blocks show."""
    blocks = re.findall(r"^```(python|text)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    run = subprocess.run(
        [sys.executable, "-u", "-c", "".join(block for kind, block in blocks if kind == "python")],
        env=environment(autostarted),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "" == run.stderr
    assert "".join(block for kind, block in blocks if kind == "text") == run.stdout


def test_examples_of_the_wire_are_answered_so(daemon):
    """Each request of docs/wire.md, one after the other, gets the reply beside it, but for times and what is left out.

    So every operation has an example.
    """
    (block,) = re.findall(r"^```\n(\{.*?)^```", (ROOT / "docs" / "wire.md").read_text(), re.MULTILINE | re.DOTALL)[:1]
    examples = [line.split("→") for line in block.splitlines() if line.startswith("{")]

    assert OPERATIONS.keys() == {json.loads(request)["op"] for request, _ in examples}
    for request, documented in examples:
        reply = json.loads(daemon.ask(request.strip().encode()))

        assert without_times(json.loads(documented.strip().replace(",…", ""))) == without_times(reply), request
    daemon.process.wait(timeout=30)


def without_times(part):
    """Return a reply without what differs from run to run."""
    if isinstance(part, list):
        return list(map(without_times, part))
    if not isinstance(part, dict):
        return part
    return {
        name: type(value) if name in ("expires_at", "time", "stats", "status") else without_times(value)
        for name, value in part.items()
    }


def test_every_setting_is_documented_with_its_default():
    """The table of docs/settings.md has a row for each setting, with the default that it has."""
    rows = re.findall(r"^\| `(\w+)` \| `?([^|`]+)`? \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    documented = dict(rows)

    assert list(Settings.model_fields) == [name for name, _ in rows]
    for name, field in Settings.model_fields.items():
        if field.default is not None:
            assert str(field.default) == documented[name].strip()


def test_command_reference_is_current():
    """docs/kvctl.md is what `python tests/docs/reference.py` writes."""
    assert reference.reference() == reference.PATH.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Every link to a file of the repository names one that is there."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())

    assert [] == [target for target in targets if not (page.parent / target).exists()]
