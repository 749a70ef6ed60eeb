"""kvd in the surroundings that programs meet: paths that are no UTF-8, output that cannot be written."""

import json
import os

from processes import kvctl


def test_paths_that_are_no_utf_8(directory, start_daemon):
    """They are served and told of like others, with the bytes that are no text as escapes."""
    home = directory / os.fsdecode(b"\xff")
    daemon = start_daemon("--file", str(home / "own.json"))
    status = json.loads(daemon.ask(b'{"op":"status"}'))["status"]
    started = kvctl("create", "key1", "1", directory=home)
    shown = kvctl("status", directory=home)
    stopped = kvctl("stop", directory=home)

    assert rf"{directory}/\xff/own.json" == status["file"]
    assert (0, 0, 0) == (started.returncode, shown.returncode, stopped.returncode)
    assert rf"ipc://{directory}/\xff/run/kvd/data_store.sock" in shown.stdout
    assert daemon.answers()
