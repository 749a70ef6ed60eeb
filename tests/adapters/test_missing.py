"""An adapter whose framework is not installed says so."""

import subprocess
import sys

import pytest

WITHOUT = """
import importlib, sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("asgiref", "cachelib", "django", "key_value", "pytest"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Without())
try:
    importlib.import_module(f"kvclient.adapters.{sys.argv[1]}")
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("adapter", "told"),
    [
        ("cachelib", "kvclient.adapters.cachelib needs cachelib: pip install 'kvd-store[cachelib]'.\n"),
        ("django", "kvclient.adapters.django needs Django: pip install 'kvd-store[django]'.\n"),
        (
            "key_value",
            "kvclient.adapters.key_value needs py-key-value-aio from 0.4.4 on: pip install 'kvd-store[key-value]'.\n",
        ),
        ("dbm", ""),
    ],
)
def test_error_names_the_extra(adapter, told):
    """Which installs it. dbm is the standard library's."""
    assert told == subprocess.check_output([sys.executable, "-c", WITHOUT, adapter], text=True)
