"""The units as they stand in the source tree, put where a distribution's package puts them."""

import shutil

import pytest
from machine import ROOT

UNITS = ["kvd.service", "kvd.socket", "kvd@.service", "kvd@.socket", "kvd-exporter.service"]


@pytest.fixture
def packaged(machine):
    """A machine on which a package has brought the units; `kvd` is on systemd's search path."""
    for unit in UNITS:
        shutil.copy(ROOT / "systemd" / unit, machine.home / unit)
    machine.run("mkdir", "--parents", ".local/share/systemd/user")
    machine.run("mv", *UNITS, ".local/share/systemd/user")
    machine.systemctl("daemon-reload")
    return machine


def test_systemd_finds_nothing_to_say(packaged):
    """systemd-analyze verify is silent for all units."""
    instances = ["kvd.service", "kvd.socket", "kvd@work.service", "kvd@work.socket", "kvd-exporter.service"]

    done = packaged.run("systemd-analyze", "--user", "--man=no", "verify", *instances)

    assert (done.stdout, done.stderr) == ("", "")


def test_two_stores_through_the_templates(packaged):
    """Instances have files and sockets of their own, and settings from their environment files."""
    packaged.write(".config/kvd/work.env", "KVD_MAX_VALUE_BYTES=10\n")
    packaged.systemctl("enable", "--now", "kvd@home.socket", "kvd@work.socket")

    packaged.kvctl("create", "key1", '"longer than ten"', "--store", "home")
    refused = packaged.kvctl("create", "key1", '"longer than ten"', "--store", "work", check=False)

    assert refused.returncode == 5
    assert packaged.kvctl("read", "key1", "--store", "work", check=False).returncode == 3
    for store in ("home", "work"):
        assert packaged.show(f"kvd@{store}.service", "ActiveState") == "active"
        assert (packaged.home / f"Documents/{store}.json").exists()


def test_stopping_for_good(packaged):
    """Once the socket is stopped, the service is too, and no request of a client without autostart starts it."""
    packaged.systemctl("enable", "--now", "kvd.socket")
    packaged.kvctl("create", "key1", "1")

    packaged.systemctl("disable", "--now", "kvd.socket")

    assert packaged.show("kvd.service", "ActiveState") == "inactive"
    assert packaged.run("env", "KVD_AUTOSTART=0", "/srv/kvd/bin/kvctl", "read", "key1", check=False).returncode == 6
    assert packaged.show("kvd.service", "ActiveState") == "inactive"
