"""docs/network.md: its programs do what it says, each as it stands there."""

import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kvclient.contract import keys

PAGE = (Path(__file__).parents[2] / "docs" / "network.md").read_text()


def program(language):
    """Return the whole program in a language, which takes endpoint, key and file as arguments."""
    programs = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = (text for text in programs if "argv" in text)
    return found


@pytest.fixture
def arguments(directory, monkeypatch, start_daemon):
    """A daemon on a network, and what a program needs to talk to it."""
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    keys.allow("laptop", keys.new("laptop").public)
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    start_daemon(network=endpoint, access='[{"key": "laptop", "read": [""], "write": [""]}]')
    return [endpoint, keys.server().public.decode(), str(keys.secret_path("laptop"))]


def test_python(arguments):
    """Pyzmq alone, in at most fifteen lines."""
    text = program("python")

    done = subprocess.run([sys.executable, "-c", text, *arguments], capture_output=True, text=True, check=True)

    assert len(text.splitlines()) <= 15
    assert ["{'ok': True, 'revision': 1}", "{'ok': True, 'value': [1, 2], 'revision': 1}"] == done.stdout.splitlines()


def test_node(arguments, tmp_path):
    """With zeromq from npm, where Node is."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm")
    got = subprocess.run(["npm", "install", "--silent", "zeromq"], cwd=tmp_path, capture_output=True, check=False)
    if got.returncode != 0:
        pytest.skip("npm gets no zeromq here")
    (tmp_path / "network.mjs").write_text(program("js"))

    done = subprocess.run(
        ["node", "network.mjs", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert [1, 2] == json.loads(done.stdout.splitlines()[1])["value"]
