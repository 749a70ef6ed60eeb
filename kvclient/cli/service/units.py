"""The unit files for this installation: the shipped ones, with the paths of this machine in them.

The shipped units (systemd/ in the source tree) stand as they are for packagers. What differs for an installation in a
virtual environment, a data file elsewhere, or an endpoint of another kind is replaced line by line here.
"""

import os
import shlex
import sys
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from kvclient.contract.endpoint import (
    DEFAULT_STORE,
    check_store_name,
    default_endpoint,
    read_config,
    socket_path,
)
from kvclient.contract.errors import DataStoreError
from kvclient.contract.places import config_home, config_path, documents, home

MARK = "# Written by 'kvctl service install', which will overwrite changes: put yours into {name}.service.d/*.conf.\n"
"""The first line of a file that may be overwritten and removed."""

_SHARED_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108


@dataclass(frozen=True)
class Service:
    """A store's daemon as a systemd service."""

    name: str
    """Of the units, without their suffix: kvd, or kvd@STORE."""
    store: str
    endpoint: str
    directory: Path
    """Where the data file lies."""
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "kvd")
    """What starts the daemon of this installation. With -P, no file in the home directory is taken for a module."""
    network: str | None = None
    """The endpoint for other machines, if there is one."""

    @property
    def socket(self) -> Path | None:
        """The path that systemd listens at; None for an endpoint that the daemon has to bind itself."""
        return socket_path(self.endpoint)

    @classmethod
    def find(cls, store: str | None) -> "Service":
        """Return the service of `store`; None means that of the settings file, or the default one.

        It is described as the service will see it: with the settings file and the store's environment file, without
        this shell's variables.
        """
        config = read_config()
        default = str(config.get("store", DEFAULT_STORE))
        store = check_store_name(store or os.environ.get("KVD_STORE") or default)
        settings: dict[str, Any] = dict(config) if store == default else {}
        settings |= _environment_file(store)
        file = settings.get("file")
        return cls(
            name="kvd" if store == default else f"kvd@{store}",
            store=store,
            endpoint=str(settings.get("endpoint") or default_endpoint(store)),
            network=settings.get("network"),
            directory=(home() / os.path.expanduser(file)).resolve().parent if file else documents(),
        )

    @property
    def opens_network(self) -> bool:
        """Whether the daemon listens on a TCP port."""
        return self.socket is None or self.network is not None

    @property
    def paths(self) -> tuple[Path, Path, Path]:
        """Where the units of the service and its socket, and the drop-in for a network, are written, if they are."""
        folder = config_home() / "systemd" / "user"
        service = f"{self.name}.service"
        return folder / service, folder / f"{self.name}.socket", folder / f"{service}.d" / "tcp.conf"

    def files(self, *, namespaces: bool) -> dict[Path, str]:
        """Return the unit files: path → text. `namespaces` tells whether this kernel lets a user have namespaces."""
        service, socket, network = self.paths
        texts = {service: self._service(namespaces=namespaces)}
        if self.socket is not None:
            texts[socket] = self._socket(self.socket)
        if self.opens_network:
            texts[network] = _drop_in(namespaces=namespaces)
        return {path: MARK.format(name=self.name) + text for path, text in texts.items()}

    def check(self) -> None:
        """Raise `DataStoreError` if the service could not see its program or its data."""
        for what, path in (("This installation", Path(self.command[0])), ("The data file", self.directory)):
            if any(path.is_relative_to(shared) for shared in _SHARED_TEMPORARY):
                raise DataStoreError(f"{what} lies in {path}, and the service has temporary directories of its own.")
        for named in (self.command[0], str(self.directory), self.endpoint):
            if not _is_utf_8(named):
                raise DataStoreError(f"The units cannot name {named}: systemd takes UTF-8 only.")

    def _service(self, *, namespaces: bool) -> str:
        text = shipped(f"{self._template}.service")
        text = replaced(text, "ExecStart=kvd", f"ExecStart={' '.join(map(quoted, self.command))}")
        text = replaced(text, "ReadWritePaths=-%h/Documents", f"ReadWritePaths={quoted(f'-{self.directory}')}")
        if not namespaces:
            text = without_namespaces(text)
        if self.socket is None:
            text = "\n".join(line for line in text.splitlines() if ".socket" not in line) + "\n"
        return text

    def _socket(self, path: Path) -> str:
        text = shipped(f"{self._template}.socket")
        text = replaced(text, "ExecStartPre=mkdir -p %h/Documents", f"ExecStartPre=mkdir -p {quoted(self.directory)}")
        instance = "%i" if "@" in self.name else DEFAULT_STORE
        if self.endpoint == default_endpoint(instance.replace("%i", self.store)):
            return text
        return replaced(text, f"ListenStream=%t/kvd/{instance}.sock", f"ListenStream={str(path).replace('%', '%%')}")

    @property
    def _template(self) -> str:
        return "kvd@" if "@" in self.name else "kvd"


def _drop_in(*, namespaces: bool) -> str:
    text = shipped("kvd-tcp.conf")
    return text if namespaces else text.replace("PrivateNetwork=no\n", "")


def _is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _environment_file(store: str) -> dict[str, str]:
    """Return the settings in the file that the units name as EnvironmentFile."""
    path = config_path().with_name(f"{store}.env")
    try:
        words = shlex.split(path.read_text(), comments=True)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataStoreError(f"The environment file {path} cannot be read: {error}") from None
    pairs = (word.partition("=") for word in words)
    return {name.removeprefix("KVD_").lower(): value for name, _, value in pairs if value and name.startswith("KVD_")}


def shipped(name: str) -> str:
    """Return a unit's text: from the wheel, or from the source tree that this is run from."""
    for folder in (resources("kvclient") / "units", Path(__file__).parents[3] / "systemd"):
        if (unit := folder / name).is_file():
            return unit.read_text()
    raise DataStoreError(f"This installation of kvd has no {name}.")


def without_namespaces(text: str) -> str:
    """Return a unit without the group of lines that needs namespaces."""
    return "\n\n".join(part for part in text.split("\n\n") if "\nPrivateUsers=" not in part)


def replaced(text: str, line: str, new: str) -> str:
    """Return a unit with another line in the place of one that it has once."""
    assert text.count(f"{line}\n") == 1, line
    return text.replace(f"{line}\n", f"{new}\n")


def quoted(word: str | Path) -> str:
    """Return a word as systemd reads it (systemd.syntax(7)), with no specifier or variable in it."""
    text = str(word).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if any(character in text for character in " \t'\"\\;") else text
