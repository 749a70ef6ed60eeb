"""docs/rights.md says what is so: its tables of rights are taken, its list of operations is the declarations'."""

import re
from pathlib import Path

import pytest

from kvclient import AccessDeniedError
from kvclient.contract.operations import OPERATIONS
from kvd.requests.twins import TWINS
from kvd.server.rights import AccessList, Rights
from kvd.settings import Settings
from processes import environment

PAGE = (Path(__file__).parents[2] / "docs" / "rights.md").read_text()


@pytest.mark.parametrize("block", re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
def test_settings_are_taken(block, directory, monkeypatch):
    """As they stand there."""
    for name in ("HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, environment(directory)[name])
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (directory / ".config" / "kvd").mkdir(parents=True)
    (directory / ".config" / "kvd" / "config.toml").write_text(block)

    settings = Settings.load()
    settings.check_shared_socket()

    assert block.count("[[access]]") == len(settings.access)
    assert AccessList(settings.access).tables


def test_the_table_of_operations_is_what_they_declare():
    """Each operation stands in the row of its rights, and batch beside it."""
    rows = dict(re.findall(r"^\| (`?\w.*?) \| (`[a-z].*`) \|$", PAGE.partition("## What each")[2], re.MULTILINE))
    documented = {op: row for row, ops in rows.items() for op in re.findall(r"`(\w+)`", ops)}
    called = {("read",): "`read`", ("write",): "`write`", ("read", "write"): "`read` and `write`", (): "any"}

    expected = {op: called.get(model.needs, "the owner") for op, model in OPERATIONS.items() if op != "batch"}
    assert expected == documented


def test_the_refusal_reads_so():
    """Word for word."""
    with pytest.raises(AccessDeniedError) as caught:
        Rights("uid 1001", read=("config:",)).apply_to(TWINS["put"](key="config:a", value=1))

    assert f"```\n{caught.value}\n```" in PAGE
