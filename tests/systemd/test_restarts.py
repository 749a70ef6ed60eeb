"""The service under load: killed, restarted, hung. Clients notice nothing, and nothing acknowledged is lost."""

import json

import pytest
from machine import PYTHON

from processes import wait_until

WRITERS = 4


class Load:
    """Processes that create keys through kvclient, one after the other."""

    def __init__(self, machine):
        self.machine = machine
        self.writers = [
            machine.spawn("sh", "-c", f"exec {PYTHON} /srv/writer.py w{n} >w{n}.log 2>&1") for n in range(WRITERS)
        ]

    def acknowledged(self):
        """Return how many keys each writer got acknowledged."""
        return [len(self._log(number).splitlines()) for number in range(WRITERS)]

    def _log(self, number):
        try:
            return (self.machine.home / f"w{number}.log").read_text()
        except FileNotFoundError:
            return ""

    def advance(self, by=30):
        """Wait until each writer has got so many more keys acknowledged."""
        before = self.acknowledged()
        wait_until(
            lambda: all(now >= then + by for now, then in zip(self.acknowledged(), before, strict=True)), seconds=60
        )

    def finish(self):
        """Stop the writers; none may have seen an error, and every key that was acknowledged must be there."""
        for number, writer in enumerate(self.writers):
            writer.communicate(timeout=60)
            assert writer.returncode == 0, self._log(number)
        stored = json.loads((self.machine.home / "Documents/data_store.json").read_text())
        for number, count in enumerate(self.acknowledged()):
            for key in range(1, count + 1):
                assert stored[f"w{number}-{key}"]["value"] == key
        self.machine.run("/srv/kvd/bin/kvd", "check", "Documents/data_store.json")


@pytest.fixture
def load(installed):
    load = Load(installed)
    load.advance()
    yield load
    for writer in load.writers:
        writer.kill()
        writer.communicate()


def test_kill_9(installed, load):
    """A killed daemon is started again; its four writers see no error and lose nothing."""
    for _ in range(2):
        pid = installed.show("kvd.service", "MainPID")
        installed.run("kill", "-KILL", pid)
        load.advance()
        assert pid != installed.show("kvd.service", "MainPID") != "0"

    assert installed.show("kvd.service", "NRestarts") == "2"
    load.finish()


@pytest.mark.parametrize("command", ["systemctl --user restart kvd", "/srv/kvd/bin/kvctl service install"])
def test_restart(installed, load, command):
    """A restart, also of an upgrade, goes unnoticed: systemd listens on, and the daemon ends in time and cleanly."""
    pid = installed.show("kvd.service", "MainPID")
    listening = installed.show("kvd.socket", "InvocationID")
    for _ in range(2):
        installed.run(*command.split())
        load.advance()

    assert pid != installed.show("kvd.service", "MainPID") != "0"
    assert installed.show("kvd.service", "NRestarts") == "0"
    assert listening == installed.show("kvd.socket", "InvocationID")
    journal = installed.journal("kvd.service")
    assert journal.count("\nstopped\n") == 2
    assert "timed out" not in journal
    load.finish()


def test_a_hung_daemon_is_restarted(installed, load):
    """The watchdog finds a daemon that does nothing any more, and the journal says so."""
    installed.write(".config/systemd/user/kvd.service.d/test.conf", "[Service]\nWatchdogSec=3s\n")
    installed.systemctl("restart", "kvd.service")
    load.advance()
    pid = installed.show("kvd.service", "MainPID")

    installed.run("kill", "-STOP", pid)

    wait_until(lambda: installed.show("kvd.service", "MainPID") not in (pid, "0"), seconds=60)
    assert "Watchdog timeout (limit 3s)!" in installed.journal("kvd.service")
    load.advance()
    load.finish()


def test_a_hung_loop_is_restarted(installed):
    """Signs of life come from the loop that serves: other threads that live on do not hide that it hangs."""
    installed.write(
        ".config/systemd/user/kvd.service.d/test.conf",
        f"[Service]\nWatchdogSec=3s\nExecStart=\nExecStart={PYTHON} -P /srv/hanging.py\n",
    )
    installed.kvctl("create", "key1", "1")

    installed.run("touch", "Documents/hang")

    wait_until(lambda: installed.show("kvd.service", "NRestarts") == "1", seconds=60)
    assert installed.kvctl("read", "key1").stdout == "1\n"
    journal = installed.journal("kvd.service")
    assert "Watchdog timeout (limit 3s)!" in journal
    assert "hanging.py" in journal
    assert " in hang\n" in journal


def test_a_restore_under_load(installed):
    """Writers wait for a moment and see no error; systemd's socket wakes no daemon in front of the restore."""
    installed.kvctl("create", "kept", '"of the backup"')
    installed.kvctl("backup", "backup.json")
    installed.kvctl("put", "kept", '"of today"')
    installed.kvctl("create", "gone", "1")
    load = Load(installed)
    load.advance()
    installed.kvctl("restore", "backup.json", "--yes")
    load.advance()
    for writer in load.writers:
        _, errors = writer.communicate()
        assert 0 == writer.returncode, errors

    assert '"of the backup"\n' == installed.kvctl("read", "kept").stdout
    assert 3 == installed.kvctl("read", "gone", check=False).returncode
    assert "active" == installed.show("kvd.service", "ActiveState")
    assert "0" == installed.show("kvd.service", "NRestarts")
