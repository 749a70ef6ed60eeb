"""The exporter as a systemd user service: installed, asked, stopped, removed."""

import re
from pathlib import Path

from machine import PYTHON

from processes import wait_until

UNIT = "kvd-exporter.service"


def scrape(machine, path="/metrics"):
    """Return a page of the exporter, as soon as it listens."""
    script = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9867{path}').read().decode())"

    def page():
        done = machine.run(PYTHON, "-c", script, check=False)
        return done.stdout if done.returncode == 0 else None

    return wait_until(page)


def test_install_use_uninstall(installed):
    """It tells how the store is and starts no daemon for that, in its sandbox, until it is removed."""
    said = installed.kvctl("service", "install", "--exporter").stderr

    assert "http://127.0.0.1:9867/metrics" in said
    assert 'kvd_up{store="data_store"} 0.0' in scrape(installed)
    assert installed.show("kvd.service", "ActiveState") == "inactive"

    installed.kvctl("create", "key1", "1")
    page = scrape(installed)
    assert 'kvd_up{store="data_store"} 1.0' in page
    assert 'kvd_keys{store="data_store"} 1.0' in page
    assert "Ready.\n" in scrape(installed, "/-/ready")

    exposure = installed.run("systemd-analyze", "--user", "security", "--no-pager", UNIT).stdout
    assert float(re.search(r"Overall exposure level for kvd-exporter\.service: ([\d.]+)", exposure)[1]) <= 2.0

    installed.systemctl("stop", UNIT)
    assert installed.show(UNIT, "Result") == "success"
    assert 'kvd_up{store="data_store"} 1' in installed.kvctl("stats", "--prometheus").stdout

    installed.kvctl("service", "uninstall", "--exporter")
    assert not (installed.home / ".config/systemd/user" / UNIT).exists()
    assert "is not installed" in installed.kvctl("service", "uninstall", "--exporter").stderr
    assert installed.kvctl("read", "key1").stdout == "1\n"


def test_dry_run_changes_nothing(machine):
    """The unit and the commands are shown."""
    shown = machine.kvctl("service", "install", "--exporter", "--dry-run").stdout

    assert "\nExecStart=/srv/kvd/bin/python" in shown
    assert f"\nsystemctl --user restart {UNIT}\n" in shown
    assert not (machine.home / ".config").exists()


def test_not_for_one_store(machine):
    """There is one exporter for all; --store beside it is a usage error."""
    assert machine.kvctl("service", "install", "--exporter", "--store", "work", check=False).returncode == 2


def test_the_timer_of_the_documents(installed):
    """The units of docs/metrics.md for the textfile collector write a file that says how the store is."""
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    for name, text in re.findall(r"```ini\n# ~/(\.config/systemd/user/kvd-metrics\.\w+)\n(.*?)```", page, re.DOTALL):
        installed.write(name, text.replace("/var/lib/node_exporter", f"/run/user/{installed.uid}"))
    installed.systemctl("daemon-reload")
    installed.kvctl("create", "key1", "1")

    installed.systemctl("start", "kvd-metrics.timer", "kvd-metrics.service")

    written = installed.run("cat", f"/run/user/{installed.uid}/kvd.prom").stdout
    assert 'kvd_up{store="data_store"} 1\n' in written
    assert installed.show("kvd-metrics.timer", "ActiveState") == "active"
