"""The manual pages kvctl(1), kvd(1) and kvd-exporter(1)."""

import shutil
import subprocess

import manual
import pytest


def test_manual_pages_are_current():
    """man/ is what `python tests/docs/manual.py` writes."""
    pages = manual.pages()

    assert set(pages) == set(manual.DIRECTORY.iterdir())
    for path, text in pages.items():
        assert text == path.read_text()


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("name", ["kvctl", "kvd", "kvd-exporter"])
def test_manual_pages_are_set_without_a_warning(name):
    """By groff with all its warnings; nothing of an example is lost or taken for a request."""
    path = manual.DIRECTORY / f"{name}.1"
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-P-cbou", path], capture_output=True, text=True, check=True
    )

    assert "" == done.stderr
    assert "EXIT STATUS" in done.stdout
    if name == "kvctl":
        assert """echo '{"key2": 1, "key3": [2]}' | kvctl batch-create - --ttl 10""" in done.stdout
