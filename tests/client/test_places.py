"""Where sockets, documents, settings and logs are: the same for client, daemon and unit, whatever a process may see."""

import os

import pytest

from kvclient.contract import places
from kvclient.contract.endpoint import Target
from kvd.settings import Settings
from processes import environment, kvctl


@pytest.fixture
def home(directory, monkeypatch):
    """A home directory, and none of the variables that name another place."""
    for name in [name for name in os.environ if name.startswith(("XDG_", "KVD_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setattr(places, "session_directory", lambda: directory / "session")
    return directory


class TestSockets:
    @pytest.mark.parametrize("mode", [None, 0o700, 0o755, 0o777])
    def test_the_runtime_directory_counts_whatever_it_looks_like(self, home, monkeypatch, mode):
        """A sandbox shows other owners and modes, and the endpoint must be the same in there."""
        runtime = home / "runtime"
        if mode is not None:
            runtime.mkdir()
            runtime.chmod(mode)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))

        assert f"ipc://{runtime}/kvd/work.sock" == Target("work").endpoint == Settings.load(store="work").listen_on

    @pytest.mark.parametrize("value", [None, "", "relative/run"])
    def test_without_one_it_is_that_of_the_user_s_session(self, home, monkeypatch, value):
        """A cron job finds the daemon of the session. A relative path counts as none."""
        (home / "session").mkdir()
        if value is not None:
            monkeypatch.setenv("XDG_RUNTIME_DIR", value)

        assert f"ipc://{home}/session/kvd/work.sock" == Target("work").endpoint == Settings.load(store="work").listen_on

    @pytest.mark.parametrize("session", ["none", "a link", "a file", "another's"])
    def test_without_a_session_it_is_in_the_user_s_home(self, home, monkeypatch, session):
        """And never in /tmp."""
        match session:
            case "a link":
                (home / "session").symlink_to(home)
            case "a file":
                (home / "session").write_text("")
            case "another's":
                (home / "session").mkdir()
                monkeypatch.setattr(os, "geteuid", lambda: 12345)
            case _:
                pass

        assert f"ipc://{home}/.local/state/kvd/run/work.sock" == Target("work").endpoint
        monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
        assert f"ipc://{home}/state/kvd/run/work.sock" == Target("work").endpoint

    def test_the_session_directory_is_systemd_s(self):
        """As pam_systemd makes it."""
        assert f"/run/user/{os.geteuid()}" == str(places.session_directory())


class TestDocuments:
    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            ('XDG_DOCUMENTS_DIR="$HOME/Papers"', "HOME/Papers"),
            ('# XDG_DOCUMENTS_DIR="$HOME/No"\n  XDG_DOCUMENTS_DIR = "$HOME/Papers"  ', "HOME/Papers"),
            ('XDG_DOCUMENTS_DIR="/srv/my \\"papers\\""', '/srv/my "papers"'),
            ("XDG_DOCUMENTS_DIR=$HOME/Papers", "HOME/Papers"),
            ('XDG_DOCUMENTS_DIR="$HOME/One"\nXDG_DOCUMENTS_DIR="$HOME/Two"', "HOME/Two"),
            ('XDG_DOCUMENTS_DIR="$HOME"', "HOME"),
            ('XDG_DOCUMENTS_DIR="$HOME/"', "HOME"),
            ('XDG_DOCUMENTS_DIR="relative"', "HOME/Documents"),
            ('XDG_DOWNLOAD_DIR="$HOME/Down"', "HOME/Documents"),
            ("", "HOME/Documents"),
        ],
    )
    def test_user_dirs(self, home, lines, expected):
        """What `xdg-user-dirs-update` wrote counts, and nothing that is none of its lines."""
        (home / ".config").mkdir()
        (home / ".config" / "user-dirs.dirs").write_text(f"{lines}\n")

        assert expected.replace("HOME", str(home)) == str(places.documents())

    def test_client_and_daemon_agree_on_the_file(self, home, monkeypatch):
        """By default, by variables and by the settings file, with and without a store by name."""
        config = home / ".config" / "kvd" / "config.toml"
        config.parent.mkdir(parents=True)
        for text in ("", 'store = "toml"', 'file = "~/toml.json"', 'store = "toml"\nfile = "~/toml.json"'):
            config.write_text(text)
            for variables in ({}, {"KVD_STORE": "env"}, {"KVD_FILE": "~/env.json"}, {"XDG_DOCUMENTS_DIR": "/docs"}):
                for given in (None, "named"):
                    with monkeypatch.context() as patch:
                        for name, value in variables.items():
                            patch.setenv(name, value)

                        assert Settings.load(store=given).data_file == Target(given).data_file()


def test_settings_and_logs(home, monkeypatch):
    """Beside the user's other ones."""
    assert home / ".config" / "kvd" / "config.toml" == places.config_path()
    assert home / ".local" / "state" / "kvd" / "log" == places.log_directory()

    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    assert home / "config" / "kvd" / "config.toml" == places.config_path()


class TestTwoEnvironments:
    """The same user, with one runtime directory here and another there: the same data file, and two endpoints."""

    @pytest.fixture
    def elsewhere(self, directory):
        """The runtime directory in which a daemon of the default store was started."""
        elsewhere = directory / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        assert 0 == kvctl("create", "key1", "1", directory=directory, XDG_RUNTIME_DIR=str(elsewhere)).returncode
        yield elsewhere
        kvctl("stop", directory=directory, XDG_RUNTIME_DIR=str(elsewhere))

    @pytest.mark.parametrize("command", [("create", "key2", "2"), ("read", "key1")], ids=" ".join)
    def test_a_daemon_that_is_not_started_names_both_endpoints(self, directory, elsewhere, command):
        """The other process has the file; the message says where it serves it, and how to ask it."""
        done = kvctl(*command, directory=directory)

        assert 6 == done.returncode
        assert f"ipc://{directory}/run/kvd/data_store.sock" in done.stderr
        assert f"--endpoint ipc://{elsewhere}/kvd/data_store.sock" in done.stderr
        assert "is in use by process" in done.stderr
        assert (
            0
            == kvctl(
                "read", "key1", "--endpoint", f"ipc://{elsewhere}/kvd/data_store.sock", directory=directory
            ).returncode
        )

    def test_commands_that_start_none_point_it_out(self, directory, elsewhere):
        """`kvctl status` finds nobody, and says who serves the file elsewhere."""
        done = kvctl("status", "--timeout", "0.1", directory=directory)

        assert 6 == done.returncode
        assert f"No daemon listens on ipc://{directory}/run/kvd/data_store.sock." in done.stderr
        assert f"on ipc://{elsewhere}/kvd/data_store.sock: use --endpoint" in done.stderr


def test_a_daemon_is_started_where_its_client_looks(directory, python):
    """Also if the environment was changed after the client was made."""
    (directory / "other").mkdir(mode=0o700)
    program = """
import os
from kvclient import Client
store = Client(timeout=60)
os.environ["XDG_RUNTIME_DIR"] = os.environ["HOME"] + "/other"
store.create("key1", 1)
print(store.status()["endpoint"])
store.stop()
"""
    assert f"ipc://{environment(directory)['XDG_RUNTIME_DIR']}/kvd/data_store.sock" == python(program)
