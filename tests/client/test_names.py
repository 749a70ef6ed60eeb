"""What the packages offer to editors and notebooks."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["kvclient", "kvd"])
def test_all_names_are_completed_before_anything_is_imported(package):
    """dir() has the names that are imported on first use too, and imports none of them."""
    shown = (
        f"import {package}, sys; print(*sorted(set({package}.__all__) - set(dir({package}))), 'asyncio' in sys.modules)"
    )

    assert "False\n" == subprocess.check_output([sys.executable, "-c", shown], text=True)
