"""Settings: command line over environment over settings file over default, and clear words for what is none."""

import subprocess
from pathlib import Path

import pytest

from kvclient import DataStoreError
from kvclient.contract.endpoint import Target
from kvd.settings import Settings
from processes import KVD, environment


@pytest.fixture
def home(directory, monkeypatch):
    """A home directory with a settings file to be written."""
    for name in ("HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, environment(directory)[name])
    for name in ("XDG_CONFIG_HOME", "XDG_DOCUMENTS_DIR", "KVD_STORE", "KVD_FILE", "KVD_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    (directory / ".config" / "kvd").mkdir(parents=True)
    return directory


@pytest.fixture
def write(home):
    """Write the settings file."""
    return (home / ".config" / "kvd" / "config.toml").write_text


def test_defaults(home):
    """As the contract has them."""
    settings = Settings.load()

    assert home / "Documents" / "data_store.json" == settings.data_file
    assert f"ipc://{home}/run/kvd/data_store.sock" == settings.listen_on
    assert "always" == settings.sync
    assert (256, 1 << 20, 16 << 20, 1 << 30, 10_000) == (
        settings.max_key_length,
        settings.max_value_bytes,
        settings.max_request_bytes,
        settings.max_file_bytes,
        settings.max_batch,
    )


def test_each_level_is_over_the_next(write, monkeypatch):
    """Command line over KVD_… over TOML over default, setting by setting."""
    write('sync = "never"\nmax_batch = 1\nmax_key_length = 1\n')
    monkeypatch.setenv("KVD_SYNC", "interval")
    monkeypatch.setenv("KVD_MAX_BATCH", "2")

    settings = Settings.load(sync="always")

    assert ("always", 2, 1, 1 << 20) == (
        settings.sync,
        settings.max_batch,
        settings.max_key_length,
        settings.max_value_bytes,
    )


def test_a_named_store_sets_aside_paths_of_lower_levels(home, write, monkeypatch):
    """They are another store's; those of its own level and above count."""
    write(f'store = "low"\nfile = "{home}/low.json"\nendpoint = "ipc://{home}/low.sock"\n')
    assert home / "low.json" == Settings.load().data_file

    monkeypatch.setenv("KVD_STORE", "middle")
    assert home / "Documents" / "middle.json" == Settings.load().data_file
    assert f"ipc://{home}/run/kvd/middle.sock" == Settings.load().listen_on

    monkeypatch.setenv("KVD_FILE", f"{home}/middle-own.json")
    assert home / "middle-own.json" == Settings.load().data_file
    assert f"ipc://{home}/run/kvd/middle.sock" == Settings.load().listen_on

    assert home / "Documents" / "high.json" == Settings.load(store="high").data_file
    assert home / "own.json" == Settings.load(store="high", file=home / "own.json").data_file


@pytest.mark.parametrize("given", [None, "named"])
@pytest.mark.parametrize("variable", [None, "KVD_STORE", "KVD_ENDPOINT", "both", "empty", "lower case"])
@pytest.mark.parametrize("config", ["", 'store = "toml"', 'endpoint = "ipc:///toml.sock"', "both"])
def test_client_and_daemon_agree_on_the_endpoint(home, write, monkeypatch, given, variable, config):
    """Whatever is configured where, kvctl asks where kvd listens."""
    write('store = "toml"\nendpoint = "ipc:///toml.sock"' if config == "both" else config)
    if variable in ("KVD_STORE", "both"):
        monkeypatch.setenv("KVD_STORE", "variable")
    if variable in ("KVD_ENDPOINT", "both"):
        monkeypatch.setenv("KVD_ENDPOINT", f"ipc://{home}/variable.sock")
    if variable == "empty":
        monkeypatch.setenv("KVD_STORE", "variable")
        monkeypatch.setenv("KVD_ENDPOINT", "")
    if variable == "lower case":
        monkeypatch.setenv("kvd_store", "variable")

    assert Settings.load(store=given).listen_on == Target(given).endpoint


@pytest.mark.usefixtures("home")
def test_an_empty_variable_is_as_good_as_none(monkeypatch):
    """Each falls back to what it would be without it."""
    unset = Settings.load(), Target().endpoint
    for name in Settings.model_fields:
        monkeypatch.setenv(f"KVD_{name.upper()}", "")

    assert unset == (Settings.load(), Target().endpoint)


def test_a_home_in_a_path_is_expanded(home, write):
    """`~` means the same in the settings file as in the shell."""
    write('file = "~/mine.json"')

    assert home / "mine.json" == Settings.load().data_file


@pytest.mark.usefixtures("home")
def test_a_file_of_the_command_line_may_be_relative(tmp_path, monkeypatch):
    """To the directory that one is in, as in any command."""
    monkeypatch.chdir(tmp_path)

    assert tmp_path / "sub" / "mine.json" == Settings.load(file=Path("sub/mine.json")).data_file


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max_values = 1", "'max_values' is no setting of kvd"),
        ("[limits]\nmax_batch = 1", "'limits' is no setting of kvd"),
        ("max_batch = 0", "Setting max_batch = 0 is invalid"),
        ("max_batch = -5", "Setting max_batch = -5 is invalid"),
        ("max_key_length = 1.5", "Setting max_key_length = 1.5 is invalid"),
        ('max_file_bytes = "much"', "Setting max_file_bytes = 'much' is invalid"),
        ("max_file_bytes = 100", "Setting max_file_bytes = 100 is invalid"),
        ("compact_share = 0", "Setting compact_share = 0 is invalid"),
        ("compact_share = nan", "Setting compact_share = nan is invalid"),
        ('sync = "sometimes"', "Setting sync = 'sometimes' is invalid"),
        ("file = 5", "Setting file = 5 is invalid"),
        ('file = "store.json"', "Setting file = 'store.json' is invalid: it must begin with / or ~/"),
        ('file = "~nosuchuser/x.json"', "Setting file = '~nosuchuser/x.json' is invalid: there is no such user"),
        ('store = "../etc"', "A store's name has letters"),
        ('store = ""', "A store's name has letters"),
        ("what is this", "config.toml cannot be read"),
        ("[[access]]\nread = ['']", "exactly one of uid, gid, unit, key, and has none"),
        ("[[access]]\nuid = 1\nkey = 'a'\nread = ['']", "exactly one of uid, gid, unit, key, and has uid and key"),
        ("[[access]]\nuid = 1", "it gives no right"),
        ("[[access]]\nuid = -1\nread = ['']", "Setting access.0.uid = -1 is invalid"),
        ("[[access]]\nuid = 4294967295\nread = ['']", "Setting access.0.uid = 4294967295 is invalid"),
        ("[[access]]\nuid = true\nread = ['']", "Setting access.0.uid = True is invalid"),
        ("[[access]]\nuid = 'no such user'\nread = ['']", "there is no user 'no such user'"),
        ("[[access]]\ngid = 'no such group'\nread = ['']", "there is no group 'no such group'"),
        ("[[access]]\nunit = 'backup'\nread = ['']", "a system unit's full name, such as backup.service"),
        ("[[access]]\nunit = '../a.service'\nread = ['']", "a system unit's full name, such as backup.service"),
        ("[[access]]\nkey = ''\nread = ['']", "key is the name of a CURVE key"),
        ("[[access]]\nuid = 1\nread = 'all'", "Setting access.0.read = 'all' is invalid"),
        ("[[access]]\nuid = 1\nread = [1]", "Setting access.0.read.0 = 1 is invalid"),
        ("[[access]]\nuid = 1\nreads = ['']", "'access.0.reads' is no field of a table; there are: uid, gid"),
        ("access = 5", "Setting access = 5 is invalid"),
        ("audit = 'perhaps'", "Setting audit = 'perhaps' is invalid"),
    ],
)
def test_a_settings_file_with_a_mistake_is_refused(write, text, told):
    """The message names the setting, what was written and what is allowed."""
    write(text)

    with pytest.raises(DataStoreError) as caught:
        Settings.load()

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("KVD_MAX_VALUE", "1", "KVD_MAX_VALUE is no setting of kvd; there are: store, file, endpoint, sync, "),
        ("KVD_SYNC", "sometimes", "Setting sync = 'sometimes' is invalid"),
        ("KVD_MAX_BATCH", "many", "Setting max_batch = 'many' is invalid"),
        ("KVD_ACCESS", "[", "in the environment it is a JSON array of objects"),
        ("KVD_ACCESS", '[{"uid": 1}]', "it gives no right"),
        ("KVD_store", "work", "KVD_store is no setting of kvd"),
        ("KVD_STORE", "a/b", "A store's name has letters"),
        ("KVD_FILE", "x/store.json", "Setting file = 'x/store.json' is invalid: it must begin with / or ~/"),
    ],
)
@pytest.mark.usefixtures("home")
def test_a_variable_with_a_mistake_is_refused(monkeypatch, name, value, told):
    """Also one whose name only looks like a setting's."""
    monkeypatch.setenv(name, value)

    with pytest.raises(DataStoreError) as caught:
        Settings.load()

    assert told in str(caught.value)


def test_tables_of_rights(write, monkeypatch):
    """Users and groups by number or name; in the environment as JSON."""
    write("[[access]]\nuid = 'root'\nread = ['a']\n[[access]]\ngid = 5\nwrite = ['']\n")
    assert [(0, None, ("a",), ()), (None, 5, (), ("",))] == [
        (table.uid, table.gid, table.read, table.write) for table in Settings.load().access
    ]

    monkeypatch.setenv("KVD_ACCESS", '[{"key": "laptop", "read": [""]}]')
    assert ["laptop"] == [table.key for table in Settings.load().access]


@pytest.mark.usefixtures("home")
def test_the_clients_setting_does_not_disturb_the_daemon(monkeypatch):
    """KVD_AUTOSTART is one that only clients read."""
    monkeypatch.setenv("KVD_AUTOSTART", "0")

    assert "data_store" == Settings.load().store


def kvd(directory: Path, *arguments: str, **variables: str):
    return subprocess.run(
        [*KVD, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=environment(directory, **variables),
    )


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "told"),
    [
        (["--sync", "sometimes"], {}, 1, "kvd: Setting sync = 'sometimes' is invalid"),
        (["--store", "../x"], {}, 1, "kvd: A store's name has letters"),
        ([], {"KVD_SPEED": "fast"}, 1, "kvd: The environment variable KVD_SPEED is no setting of kvd"),
        (["--endpoint", f"ipc:///{'x' * 107}"], {}, 1, "kvd: The socket path has 108 bytes and a Unix socket's can"),
        (["--endpoint", "ipc://relative"], {}, 1, "kvd: An ipc endpoint needs an absolute path"),
        (["--endpoint", "ipc:///"], {}, 1, "kvd: An ipc endpoint needs an absolute path of a socket"),
        (["--endpoint", "tcp://a..b:80"], {}, 1, "kvd: A tcp endpoint needs a host and a port"),
        (["--endpoint", "tcp://127.0.0.1:0"], {}, 1, "kvd: A tcp endpoint needs a host and a port from 1 to 65535"),
        (["--endpoint", "tcp://127.0.0.1:99999"], {}, 1, "kvd: A tcp endpoint needs a host and a port from 1 to 65535"),
        (["--endpoint", "nonsense"], {}, 1, "kvd: An endpoint is an address such as"),
        (["--endpoint", "ipc:///proc/nowhere/x.sock"], {}, 1, "kvd: The endpoint ipc:///proc/nowhere/x.sock cannot"),
        (["--file", "/proc/nowhere/x.json"], {}, 1, "kvd: "),
        (["--file", "/"], {}, 1, "kvd: "),
        (["--file", "~nosuchuser/x.json"], {}, 1, "kvd: Setting file = '~nosuchuser/x.json' is invalid: there is no"),
        (["--speed", "fast"], {}, 2, "No such option"),
    ],
)
def test_kvd_refuses_with_one_line(directory, arguments, variables, code, told):
    """No traceback, and nothing is left behind."""
    done = kvd(directory, *arguments, **variables)

    assert (code, "") == (done.returncode, done.stdout)
    assert "Traceback" not in done.stderr
    assert told in done.stderr
    assert [] == [path for path in directory.rglob("*") if path.is_file() or path.is_socket()]


def test_a_socket_path_of_107_bytes_is_the_longest(directory, start_daemon):
    """As unix(7) has it."""
    room = 107 - len(str(directory)) - len("/deep/")
    path = directory / "deep" / ("x" * room)
    assert 107 == len(str(path))

    daemon = start_daemon(at=directory)
    daemon.stop()
    daemon.endpoint = f"ipc://{path}"
    daemon.start()

    assert 0 == daemon.stop()


def test_modes_are_for_the_owner_only(directory, start_daemon):
    """The file and the socket 0600, their directories 0700 where the daemon made them."""
    daemon = start_daemon()
    daemon.stop()
    daemon.file = directory / "documents" / "store.json"
    daemon.endpoint = f"ipc://{directory}/sockets/store.sock"
    daemon.start()

    modes = {
        path: oct((directory / path).stat().st_mode & 0o777)
        for path in ("documents/store.json", "sockets", "sockets/store.sock")
    }
    assert {"documents/store.json": "0o600", "sockets": "0o700", "sockets/store.sock": "0o600"} == modes
