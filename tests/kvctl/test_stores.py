"""kvctl stores lists what there is, and starts nothing."""

import json
import os
import socket

import pytest

from processes import kvctl
from terminal import Terminal, without_colour


@pytest.fixture
def two_stores(directory):
    """A store whose daemon runs, and one whose daemon was stopped."""
    for name in ("here", "gone"):
        assert 0 == kvctl("create", "key1", "1", "--store", name, "--timeout", "60", directory=directory).returncode
    kvctl("stop", "--store", "gone", directory=directory)
    yield directory
    kvctl("stop", "--store", "here", directory=directory)


def test_stores_with_their_files_and_daemons(two_stores):
    """As JSON Lines, in order."""
    gone, here = map(json.loads, kvctl("stores", "--json", directory=two_stores).stdout.splitlines())

    assert ("gone", None, False) == (gone["store"], gone["pid"], gone["listening"])
    assert ("here", True) == (here["store"], here["listening"])
    assert os.path.exists(f"/proc/{here['pid']}")
    assert str(two_stores / "Documents" / "here.json") == here["file"]
    assert f"ipc://{two_stores}/run/kvd/here.sock" == here["endpoint"]


def test_a_line_each_in_a_pipe(two_stores):
    """Name, state and file, with tabs between them."""
    gone, here = (line.split("\t") for line in kvctl("stores", directory=two_stores).stdout.splitlines())

    assert ["gone", "not running", str(two_stores / "Documents" / "gone.json")] == gone
    assert here[1].startswith("running, pid ")


def test_table_on_a_terminal(two_stores):
    """With the sizes of the files."""
    printed = without_colour(Terminal(two_stores, "stores", columns=200).end())

    assert ["STORE", "DAEMON", "SIZE", "FILE"] == printed.splitlines()[0].split()
    assert "gone   not running" in printed


def test_socket_on_which_systemd_listens_is_not_touched(directory):
    """To connect to it would start the daemon."""
    (directory / "run" / "kvd").mkdir(parents=True, mode=0o700)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(directory / "run" / "kvd" / "work.sock"))
        listening.listen()
        listening.setblocking(False)
        done = kvctl("stores", directory=directory)

        assert "work\tstarts on demand\t\n" == done.stdout
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_no_stores(directory):
    """Nothing in a pipe, a hint on a terminal; nothing is created."""
    done = kvctl("stores", directory=directory)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert "There are no stores yet." in Terminal(directory, "stores").end()
    assert not (directory / "Documents").exists()
