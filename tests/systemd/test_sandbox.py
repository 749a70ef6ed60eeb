"""What the service cannot do, tried from inside the installed unit; outside it, the same user can."""

import json
import re

import pytest
from machine import PYTHON

from processes import wait_until


@pytest.fixture
def attempts(installed):
    """What came of each attempt of probe.py in the unit, and outside it."""
    installed.run("touch", "/tmp/of-another")
    outside = json.loads(installed.run(PYTHON, "/srv/probe.py").stdout)
    installed.write(
        ".config/systemd/user/kvd.service.d/test.conf",
        f"[Service]\nType=oneshot\nRestart=no\nExecStart=\nExecStart={PYTHON} /srv/probe.py\n",
    )
    installed.systemctl("start", "kvd.service")
    said = wait_until(lambda: re.search(r"^\{.*\}$", installed.journal("kvd.service"), re.MULTILINE))
    return json.loads(said[0]), outside


def test_effects(attempts):
    """Only the data file's directory can be written; no internet, no executable memory, no devices, no namespaces."""
    inside, outside = attempts

    assert inside.pop("network namespace") != outside.pop("network namespace")
    assert set(outside.values()) == {"done"}
    assert inside == {
        "write beside the data file": "done",
        "write to the home directory": "Read-only file system",
        "write to the configuration": "Read-only file system",
        "write to the runtime directory": "Read-only file system",
        "see others' temporary files": "No such file or directory",
        "see the host's devices": "No such file or directory",
        "open a Unix socket": "done",
        "open an internet socket": "Address family not supported by protocol",
        "map memory to write and execute": "Operation not permitted",
        "make a namespace": "refused",
    }


def test_exposure(installed):
    """The exposure that systemd computes is 2.0 or better."""
    said = installed.run("systemd-analyze", "--user", "security", "--no-pager", "kvd.service").stdout

    assert float(re.search(r"Overall exposure level for kvd\.service: ([\d.]+)", said)[1]) <= 2.0


def test_the_kernel_tells_who_touches_the_data_file(installed):
    """It may be asked in the sandbox, too, so that not every commit has to look at the file."""
    installed.kvctl("create", "key1", "1")

    assert "serving" in installed.journal("kvd.service")
    assert "cannot tell" not in installed.journal("kvd.service")


def test_a_tcp_endpoint(installed):
    """Once the settings name a TCP endpoint, the service may use the internet families and has no socket unit."""
    installed.write(".config/kvd/config.toml", 'endpoint = "tcp://127.0.0.1:7411"\ninsecure_tcp = true\n')

    installed.kvctl("service", "install")

    installed.kvctl("create", "key1", "1")
    assert installed.kvctl("read", "key1").stdout == "1\n"
    assert installed.show("kvd.service", "ActiveState") == "active"
    assert installed.show("kvd.socket", "LoadState") == "not-found"
    installed.kvctl("service", "uninstall")
    assert installed.show("kvd.service", "LoadState") == "not-found"


def test_a_network_besides(installed):
    """The service serves other machines over CURVE, and its socket as before; then the network is closed again."""
    installed.kvctl("keys", "allow", "laptop", "--", installed.kvctl("keys", "new", "laptop").stdout.strip())
    installed.write(
        ".config/kvd/config.toml",
        f"network = 'tcp://127.0.0.1:7412'\nserver_key = '{installed.kvctl('keys', 'server').stdout.strip()}'\n"
        "key = 'laptop'\n[[access]]\nkey = 'laptop'\nread = ['']\n",
    )

    installed.kvctl("service", "install")

    installed.kvctl("create", "key1", "1")
    assert installed.kvctl("read", "key1", "--endpoint", "tcp://127.0.0.1:7412").stdout == "1\n"
    assert installed.show("kvd.socket", "ActiveState") == "active"
    installed.write(".config/kvd/config.toml", "")
    installed.kvctl("service", "install")
    assert installed.kvctl("read", "key1").stdout == "1\n"
    assert installed.show("kvd.service", "PrivateNetwork") == "yes"
