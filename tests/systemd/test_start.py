"""A start that takes longer than the start timeout, because the file is large, is given the time."""

import json
import re

import pytest
from machine import PYTHON

DATA_FILE = "Documents/data_store.json"
GIGABYTE = 1_000_000_000


def start_with(machine, size, *, command, timeout):
    """Start the service on a file of `size` bytes, and return how many keys it should have."""
    machine.write(
        ".config/systemd/user/kvd.service.d/test.conf",
        f"[Service]\nTimeoutStartSec={timeout}\nExecStart=\nExecStart={PYTHON} -P {command}\n",
    )
    keys = int(machine.run(PYTHON, "/srv/fill.py", DATA_FILE, str(size)).stdout)
    machine.systemctl("start", "kvd.service")
    return keys


def seconds_to_start(machine):
    """Return how long systemd waited for the daemon to be ready."""
    began = int(machine.show("kvd.service", "ExecMainStartTimestampMonotonic"))
    ended = int(machine.show("kvd.service", "ActiveEnterTimestampMonotonic"))
    return (ended - began) / 1e6


def test_a_slow_disk(installed):
    """Six seconds of recovery end well with a start timeout of four."""
    keys = start_with(installed, 25 << 20, command="/srv/slow_disk.py", timeout="4s")

    assert seconds_to_start(installed) > 4
    assert installed.show("kvd.service", "NRestarts") == "0"
    assert json.loads(installed.kvctl("status", "--json").stdout)["keys"] == keys
    assert re.match(rf"Serving: {keys:,} keys, ", installed.show("kvd.service", "StatusText"))


def test_a_file_of_a_gigabyte(installed, long):
    """A file near the largest that is allowed is opened, with a start timeout of two seconds (in the long form)."""
    if not long:
        pytest.skip("a gigabyte is written with --long only")

    keys = start_with(installed, GIGABYTE, command="-m kvd", timeout="2s")

    print(f"{keys} keys in {seconds_to_start(installed):.1f} s")
    assert (installed.home / DATA_FILE).stat().st_size >= GIGABYTE
    assert installed.show("kvd.service", "NRestarts") == "0"
    assert json.loads(installed.kvctl("status", "--json").stdout)["keys"] == keys
    assert installed.kvctl("read", "key0").stdout == f'"{"x" * 950}"\n'
