"""The unit files that `kvctl service install` writes, without a systemd to read them."""

import re
import sys
from pathlib import Path

import pytest

from kvclient.cli.service import exporter
from kvclient.cli.service.units import Service
from kvclient.contract.errors import DataStoreError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home directory that has no settings yet."""
    for name in ("XDG_CONFIG_HOME", "XDG_DOCUMENTS_DIR", "KVD_STORE", "KVD_ENDPOINT", "KVD_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / ".config/kvd").mkdir(parents=True)
    return tmp_path


def texts(service, *, namespaces=True):
    return {path.name: text for path, text in service.files(namespaces=namespaces).items()}


def test_the_default_store(home):
    """The default store's units are kvd.service and kvd.socket in the user's directory for units."""
    files = Service.find(None).files(namespaces=True)

    assert list(files) == [home / ".config/systemd/user" / name for name in ("kvd.service", "kvd.socket")]
    assert f"\nReadWritePaths=-{home}/Documents\n" in texts(Service.find(None))["kvd.service"]
    assert "\nListenStream=%t/kvd/data_store.sock\n" in texts(Service.find(None))["kvd.socket"]


@pytest.mark.usefixtures("home")
def test_a_named_store():
    """A store by name becomes an instance of the templates."""
    files = texts(Service.find("my-work"))

    assert list(files) == ["kvd@my-work.service", "kvd@my-work.socket"]
    assert "\nEnvironment=KVD_STORE=%i\n" in files["kvd@my-work.service"]
    assert "\nListenStream=%t/kvd/%i.sock\n" in files["kvd@my-work.socket"]


def test_a_store_named_in_the_settings_file(home):
    """The settings file's store is served by kvd.service, at that store's endpoint."""
    (home / ".config/kvd/config.toml").write_text('store = "work"\n')

    files = texts(Service.find(None))

    assert list(files) == ["kvd.service", "kvd.socket"]
    assert f"\nListenStream={home}/kvd/work.sock\n" in files["kvd.socket"]
    assert list(texts(Service.find("data_store"))) == ["kvd@data_store.service", "kvd@data_store.socket"]


def test_a_file_named_in_the_environment_file(home):
    """The environment file of the service comes before the settings file, as it does for the daemon."""
    (home / ".config/kvd/config.toml").write_text('file = "~/one/store.json"\n')
    (home / ".config/kvd/data_store.env").write_text(f'# a comment\nKVD_FILE="{home}/the other/store.json"\n')

    assert home / "the other" == Service.find(None).directory


def test_characters_that_mean_something_to_systemd(home):
    """Spaces, quotes, percent and dollar signs in paths are written so that systemd takes them as they are."""
    service = Service("kvd", "data_store", f"ipc://{home}/s.sock", Path('/a b/"c"/$d/100%'), ("/py thon", "-m", "kvd"))

    text = texts(service)["kvd.service"]

    assert '\nReadWritePaths="-/a b/\\"c\\"/$$d/100%%"\n' in text
    assert '\nExecStart="/py thon" -m kvd\n' in text


def test_a_tcp_endpoint(home):
    """With a TCP endpoint there is no socket unit, and a drop-in lets the service use the internet."""
    (home / ".config/kvd/config.toml").write_text('endpoint = "tcp://127.0.0.1:7411"\n')

    files = texts(Service.find(None))

    assert list(files) == ["kvd.service", "tcp.conf"]
    assert ".socket" not in files["kvd.service"]
    assert "\nPrivateNetwork=no\n" in files["tcp.conf"]
    assert "\nRestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK\n" in files["tcp.conf"]
    assert "\nProtectHome=read-only\n" in files["kvd.service"]


def test_a_network_besides(home):
    """With an endpoint for other machines the socket unit stays, and the drop-in comes."""
    (home / ".config/kvd/config.toml").write_text('network = "tcp://127.0.0.1:7411"\n')

    service = Service.find(None)

    assert list(texts(service)) == ["kvd.service", "kvd.socket", "tcp.conf"]
    assert home / ".config/systemd/user/kvd.service.d/tcp.conf" in service.files(namespaces=True)
    assert "PrivateNetwork" not in texts(service, namespaces=False)["tcp.conf"]


@pytest.mark.usefixtures("home")
def test_where_users_may_not_have_namespaces():
    """What needs user namespaces is left out there, and all else stays."""
    text = texts(Service.find(None), namespaces=False)["kvd.service"]

    for option in ("PrivateUsers", "ProtectSystem", "PrivateNetwork", "ReadWritePaths", "ProtectHostname"):
        assert f"{option}=" not in text
    for option in ("NoNewPrivileges", "MemoryDenyWriteExecute", "WatchdogSec", "WantedBy"):
        assert f"\n{option}=" in text


@pytest.mark.parametrize("directory", ["/tmp/data", "/var/tmp"])
def test_data_that_the_service_would_not_see(directory):
    """A data file in a directory for temporary files is refused: the service has its own of those."""
    service = Service("kvd", "data_store", "ipc:///run/s.sock", Path(directory), ("/usr/bin/python3",))

    with pytest.raises(DataStoreError, match="temporary directories of its own"):
        service.check()


def test_a_path_that_is_no_utf_8():
    """It is refused: systemd would pass over the line that names it."""
    service = Service("kvd", "data_store", "ipc:///run/s.sock", Path("/home/\udcff"), ("/usr/bin/python3",))

    with pytest.raises(DataStoreError, match="systemd takes UTF-8 only"):
        service.check()


def test_the_exporter():
    """That of this installation, in a sandbox in which nothing can be written; without namespaces it keeps all else."""
    text = exporter.unit(namespaces=True)

    assert f"\nExecStart={sys.executable} -P -m kvclient.exporter\n" in text
    assert "\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n" in text
    assert "\nProtectSystem=strict\n" in text
    assert "ReadWritePaths" not in text
    assert "PrivateUsers" not in exporter.unit(namespaces=False)
    assert "\nNoNewPrivileges=yes\n" in exporter.unit(namespaces=False)


def test_the_exporter_s_sandbox_is_the_daemon_s():
    """Line by line, but for what can be written and the network."""
    folder = Path(__file__).parents[2] / "systemd"
    daemon, other = (
        set((folder / f"{name}.service").read_text().partition("# A world")[2].splitlines()[1:])
        for name in ("kvd", "kvd-exporter")
    )

    assert {
        "ReadWritePaths=-%h/Documents",
        "ReadWritePaths=-%t/kvd",
        "PrivateNetwork=yes",
        "RestrictAddressFamilies=AF_UNIX",
        "# Nothing but what a program that reads and writes files needs of the kernel.",
        "Also=kvd.socket",
        "SystemCallFilter=sched_setscheduler",
    } == daemon - other
    assert {
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "# Nothing but what a program that answers over a socket needs of the kernel.",
    } == other - daemon


def test_the_templates_differ_from_the_others_in_the_instance_only():
    """Each unit and its template are the same but for the store's name, so that neither is forgotten in a change."""
    folder = Path(__file__).parents[2] / "systemd"
    for kind in ("service", "socket"):
        plain = (folder / f"kvd.{kind}").read_text().splitlines()
        template = (folder / f"kvd@.{kind}").read_text().splitlines()
        template.remove("Environment=KVD_STORE=%i") if kind == "service" else None
        for line, other in zip(plain[2:], template[2:], strict=True):
            assert line == other.replace("kvd@%i", "kvd").replace("%i", "data_store").replace(" data_store", "")


def test_every_line_is_explained():
    """Each option of the units stands in docs/systemd.md, and the documents name none that is not there."""
    root = Path(__file__).parents[2]
    lines = [line for unit in (root / "systemd").iterdir() for line in unit.read_text().splitlines()]
    options = {line.partition("=")[0] for line in lines if "=" in line and not line.startswith("#")}
    tables = [line for line in (root / "docs/systemd.md").read_text().splitlines() if line.startswith("| `")]
    explained = {name for line in tables for name in re.findall(r"`(\w+)=", line.split("|")[1])}

    assert options - {"Description"} == explained
