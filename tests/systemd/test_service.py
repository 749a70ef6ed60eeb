"""A user's way with the service: install it, use it, log out and in, remove it."""

import json

import pytest

from processes import wait_until

UNITS = ".config/systemd/user"


class TestInstall:
    def test_the_first_request_starts_the_service(self, machine):
        """After one command, a create is answered by a daemon that systemd starts; the data outlives the manager."""
        machine.kvctl("service", "install")
        assert machine.show("kvd.service", "ActiveState") == "inactive"

        machine.kvctl("create", "key1", '{"name": "value1"}')

        assert machine.show("kvd.service", "ActiveState") == "active"
        assert machine.kvctl("read", "key1").stdout == '{"name": "value1"}\n'
        machine.log_out_and_in()
        assert machine.show("kvd.service", "ActiveState") == "inactive"
        assert machine.kvctl("read", "key1").stdout == '{"name": "value1"}\n'
        assert machine.show("kvd.service", "ActiveState") == "active"

    def test_tells_what_it_did_and_what_comes_next(self, machine):
        """The files, the endpoint, a first command, and how to do without a login are named."""
        said = machine.kvctl("service", "install").stderr

        for part in ("kvd.service", "kvd.socket", "data_store.sock", "kvctl create", "loginctl enable-linger"):
            assert part in said

    def test_dry_run_changes_nothing(self, machine):
        """With --dry-run the units and commands are shown, and no file is written."""
        shown = machine.kvctl("service", "install", "--dry-run").stdout

        assert "\nExecStart=/srv/kvd/bin/python" in shown
        assert "\nsystemctl --user enable kvd.socket\n" in shown
        assert not (machine.home / ".config").exists()

    def test_a_daemon_that_a_client_started_gives_way(self, machine):
        """The daemon that ran in the background ends, and systemd's serves the same data."""
        machine.kvctl("create", "key1", "1")
        before = json.loads(machine.kvctl("status", "--json").stdout)["pid"]

        machine.kvctl("service", "install")

        assert machine.kvctl("read", "key1").stdout == "1\n"
        assert str(before) != machine.show("kvd.service", "MainPID") != "0"

    def test_a_second_time_is_no_different(self, installed):
        """Installing over a service that runs leaves it answering, as after an upgrade."""
        installed.kvctl("create", "key1", "1")

        installed.kvctl("service", "install")

        assert installed.kvctl("read", "key1").stdout == "1\n"
        assert installed.show("kvd.service", "ActiveState") == "active"

    def test_somebody_else_s_unit_stays(self, machine):
        """A unit file that was not written by install is neither overwritten nor removed."""
        machine.write(f"{UNITS}/kvd.service", "[Service]\nExecStart=true\n")

        for verb in ("install", "uninstall"):
            done = machine.kvctl("service", verb, check=False)

            assert done.returncode == 1
            assert "was not written by" in done.stderr
        assert (machine.home / UNITS / "kvd.service").read_text() == "[Service]\nExecStart=true\n"

    def test_a_data_file_elsewhere_can_be_written(self, machine):
        """The directory of the file that the settings name is writable for the service, a space in it included."""
        machine.write(".config/kvd/config.toml", 'file = "~/my data/100%/store.json"\n')
        machine.kvctl("service", "install")

        machine.kvctl("create", "key1", "1")

        assert machine.show("kvd.service", "ActiveState") == "active"
        assert '"key1"' in (machine.home / "my data/100%/store.json").read_text()

    def test_a_store_of_its_own(self, machine):
        """With --store, an instance with its own socket and file runs beside the default one."""
        machine.kvctl("service", "install")
        machine.kvctl("service", "install", "--store", "my-work")
        machine.kvctl("create", "key1", '"default"')
        machine.kvctl("create", "key1", '"work"', "--store", "my-work")

        assert machine.kvctl("read", "key1").stdout == '"default"\n'
        assert machine.kvctl("read", "key1", "--store", "my-work").stdout == '"work"\n'
        for unit in ("kvd.service", "kvd@my-work.service"):
            assert machine.show(unit, "ActiveState") == "active"
        machine.kvctl("service", "uninstall", "--store", "my-work")
        assert ["kvd.service", "kvd.socket"] == sorted(path.name for path in (machine.home / UNITS).glob("kvd*"))


class TestVerbs:
    def test_stop_and_start(self, installed):
        """After stop nobody listens any more; after start the data is there again."""
        installed.kvctl("create", "key1", "1")

        installed.kvctl("service", "stop")

        assert installed.kvctl("service", "status", check=False).returncode == 1
        assert installed.kvctl("ping", check=False).returncode == 6
        installed.kvctl("service", "start")
        assert installed.kvctl("service", "status").returncode == 0
        assert installed.kvctl("read", "key1").stdout == "1\n"

    def test_reload(self, installed):
        """`systemctl reload` has the daemon read what can change while it runs: the process stays the same."""
        installed.kvctl("create", "key1", "1")
        pid = installed.show("kvd.service", "MainPID")
        installed.write(".config/kvd/config.toml", "[[access]]\nuid = 1\nread = ['']\n")
        assert json.loads(installed.kvctl("status", "--json").stdout)["reload_needed"] == ["access"]

        installed.systemctl("reload", "kvd.service")

        wait_until(lambda: "reloaded the settings" in installed.journal("kvd.service"))
        assert "reload_needed" not in json.loads(installed.kvctl("status", "--json").stdout)
        wait_until(lambda: installed.show("kvd.service", "ActiveState") == "active")
        assert installed.show("kvd.service", "MainPID") == pid

    def test_start_after_a_client_s_daemon(self, installed):
        """A daemon that a client started while the service was stopped gives way to it."""
        installed.kvctl("service", "stop")
        installed.kvctl("create", "key1", "1")

        installed.kvctl("service", "start")

        assert installed.show("kvd.service", "ActiveState") == "active"
        assert installed.kvctl("read", "key1").stdout == "1\n"

    def test_kvctl_stop_ends_this_daemon_only(self, installed):
        """`kvctl stop` returns when the daemon is gone; systemd goes on listening and starts another when needed."""
        installed.kvctl("create", "key1", "1")

        installed.kvctl("stop")

        assert installed.show("kvd.service", "ActiveState") == "inactive"
        assert installed.show("kvd.service", "Result") == "success"
        assert installed.kvctl("read", "key1").stdout == "1\n"

    def test_disable_and_enable(self, installed):
        """A disabled service is not there after the next login, an enabled one is."""
        installed.kvctl("service", "disable")
        installed.log_out_and_in()
        assert installed.show("kvd.socket", "ActiveState") == "inactive"

        installed.kvctl("service", "enable")
        installed.log_out_and_in()

        assert installed.show("kvd.socket", "ActiveState") == "active"

    def test_logs(self, installed):
        """The service's lines are shown, and with --dry-run the command that shows them."""
        installed.kvctl("create", "key1", "1")

        wait_until(
            lambda: "serving /home/tester/Documents/data_store.json" in installed.kvctl("service", "logs").stdout
        )
        assert "--unit=kvd.service" in installed.kvctl("service", "logs", "--dry-run").stdout

    def test_uninstall_leaves_the_data(self, installed):
        """No unit and no process stays; the data file does."""
        installed.kvctl("create", "key1", "1")
        processes = ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]
        assert " -m kvd" in installed.run(*processes).stdout

        installed.kvctl("service", "uninstall")

        assert not list((installed.home / UNITS).glob("kvd*"))
        assert installed.show("kvd.socket", "LoadState") == "not-found"
        assert " -m kvd" not in installed.run(*processes).stdout
        assert '"key1"' in (installed.home / "Documents/data_store.json").read_text()

    @pytest.mark.parametrize("verb", ["start", "stop", "restart", "status", "enable", "disable"])
    def test_before_install(self, machine, verb):
        """What is not installed cannot be controlled; the message says how to install it."""
        done = machine.kvctl("service", verb, check=False)

        assert done.returncode == 1
        assert "'kvctl service install'" in done.stderr


class TestJournal:
    def test_an_event_is_one_line_with_a_priority_and_one_time(self, installed):
        """Informative lines have priority 6 and no time of their own, which the journal has already."""
        installed.kvctl("create", "key1", "1")

        lines = wait_until(lambda: _entries(installed, "serving "))

        assert ["6"] == [line["PRIORITY"] for line in lines]
        assert ["kvd"] == [line["SYSLOG_IDENTIFIER"] for line in lines]
        assert lines[0]["MESSAGE"].startswith("serving /home/tester/Documents/data_store.json")

    def test_why_it_does_not_start(self, machine):
        """A file that is no data file stops each start with one error line, and systemd soon gives up."""
        machine.write("Documents/data_store.json", "this is no JSON")
        machine.kvctl("service", "install")
        machine.kvctl("ping", check=False)

        wait_until(lambda: machine.show("kvd.socket", "Result") == "service-start-limit-hit")

        errors = _entries(machine, "kvd: ")
        assert len(errors) == 5
        assert {line["PRIORITY"] for line in errors} == {"3"}
        assert "/home/tester/Documents/data_store.json" in errors[0]["MESSAGE"]
        assert "is not a data file" in errors[0]["MESSAGE"]
        assert (machine.home / "Documents/data_store.json").read_text() == "this is no JSON"

    def test_a_crash_says_where(self, installed):
        """The Python stack of a daemon that was aborted is in the journal."""
        installed.kvctl("create", "key1", "1")
        installed.run("kill", "-ABRT", installed.show("kvd.service", "MainPID"))

        wait_until(lambda: "in run" in installed.journal("kvd.service"))

        assert "Fatal Python error: Aborted" in installed.journal("kvd.service")


def _entries(machine, start):
    lines = machine.run("journalctl", "--user", "--unit=kvd.service", "--output=json").stdout.splitlines()
    return [entry for entry in map(json.loads, lines) if str(entry["MESSAGE"]).startswith(start)]


@pytest.mark.parametrize("unset", ["XDG_RUNTIME_DIR", "HOME"])
def test_a_client_without_the_session_s_variables_finds_it(installed, unset):
    """As a cron job, or after `su`: it talks to the service, and starts no daemon of its own."""
    installed.kvctl("create", "key1", "1")

    told = installed.run("env", f"--unset={unset}", "/srv/kvd/bin/kvctl", "status", "--json").stdout

    assert f"ipc:///run/user/{installed.uid}/kvd/data_store.sock" == json.loads(told)["endpoint"]
    assert installed.show("kvd.service", "MainPID") == str(json.loads(told)["pid"])
    assert "active" in installed.run("env", f"--unset={unset}", "/srv/kvd/bin/kvctl", "service", "status").stdout


def test_documents_that_the_user_has_elsewhere(machine):
    """`user-dirs.dirs` says where, and the service sees it as clients do, also in its sandbox."""
    machine.write(".config/user-dirs.dirs", 'XDG_DOCUMENTS_DIR="$HOME/My Papers"\n')
    machine.kvctl("service", "install")

    machine.kvctl("create", "key1", "1")

    assert "key1" in json.loads((machine.home / "My Papers" / "data_store.json").read_text())
    assert not (machine.home / "Documents").exists()


def test_another_place_than_systemd_s_is_refused(machine):
    """A service would read other settings than the shell that installs it."""
    install = ["/srv/kvd/bin/kvctl", "service", "install"]
    done = machine.run("env", "XDG_CONFIG_HOME=/home/tester/config", *install, check=False)

    assert 1 == done.returncode
    assert "XDG_CONFIG_HOME is /home/tester/config here and not set in your systemd" in done.stderr
    assert not (machine.home / "config").exists()
