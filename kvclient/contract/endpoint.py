"""Where a daemon listens: the names that the client and the daemon must agree on before they have spoken.

Only what both sides need is here; the daemon's other settings are in `kvd.settings`. Kept free of pydantic so that
a short script starts fast.
"""

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple, Self

from kvclient.contract.errors import DataStoreError
from kvclient.contract.places import config_path, documents, socket_directory

DEFAULT_STORE = "data_store"
MAX_SOCKET_PATH_BYTES = 107  # sun_path of unix(7) has 108 bytes, one of them for the closing NUL

_SWITCH = {"1": True, "0": False, "yes": True, "no": False, "on": True, "off": False, "true": True, "false": False}
_store_name = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def read_config() -> dict[str, Any]:
    """Return the settings file's content; empty if there is none. Raises `DataStoreError` if it is not TOML."""
    path = config_path()
    try:
        text = path.read_text(encoding="utf-8")
        import tomllib  # few have the file, and a short script should start fast

        return tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataStoreError(f"The settings file {path} cannot be read: {error}") from None


def check_store_name(name: str) -> str:
    """Return `name` if it can name files and systemd instances, else raise `DataStoreError`."""
    if not _store_name.fullmatch(name):
        raise DataStoreError(f"A store's name has letters, digits, '.', '_' and '-', and no '.' in front: {name!r}")
    return name


def default_endpoint(store: str) -> str:
    """Return the endpoint of the daemon of `store` where none was configured. Raises `DataStoreError`."""
    return f"ipc://{socket_directory() / check_store_name(store)}.sock"


def default_file(store: str) -> Path:
    """Return the data file of `store` where none was configured."""
    return documents() / f"{check_store_name(store)}.json"


def merged(levels: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings of several levels, of which each is over the ones before it.

    A store that is named on one level sets aside the file and the endpoint of those below: they are another store's.
    """
    settings: dict[str, Any] = {}
    for level in levels:
        if "store" in level:
            settings.pop("file", None)
            settings.pop("endpoint", None)
        settings |= level
    return settings


def socket_path(endpoint: str) -> Path | None:
    """Return an `ipc://` endpoint's path, None for another transport. Raises `DataStoreError` if it cannot be one."""
    if "://" not in endpoint:
        raise DataStoreError(f"An endpoint is an address such as ipc:///run/user/1000/kvd/work.sock, not {endpoint!r}.")
    if endpoint.startswith("tcp://"):
        return None
    if not endpoint.startswith("ipc://"):
        raise DataStoreError(f"An endpoint begins with ipc:// or tcp://: {endpoint!r}")
    path = endpoint.removeprefix("ipc://")
    if not path.startswith("/") or not Path(path).name or "\0" in path:
        raise DataStoreError(
            f"An ipc endpoint needs an absolute path of a socket, as in ipc:///run/user/1000/kvd/work.sock: {endpoint}"
        )
    if (size := len(os.fsencode(path))) > MAX_SOCKET_PATH_BYTES:
        raise DataStoreError(
            f"The socket path has {size} bytes and a Unix socket's can have {MAX_SOCKET_PATH_BYTES}: {path} "
            "(choose a shorter one with the setting endpoint)."
        )
    return Path(path)


def tcp_address(endpoint: str) -> tuple[str, int]:
    """Return host and port of a `tcp://` endpoint. Raises `DataStoreError` if it cannot be one."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    number = int(port) if port.isdecimal() and len(port) <= len("65535") else 0
    try:
        host.encode("idna")  # as the resolver will
    except UnicodeError:
        host = ""
    if not host or not 1 <= number <= 65535:
        raise DataStoreError(
            f"A tcp endpoint needs a host and a port from 1 to 65535, as in tcp://127.0.0.1:7411: {endpoint}"
        )
    return host.strip("[]"), number


def _autostart_is_on() -> bool:
    """Return what `KVD_AUTOSTART` says. Raises `DataStoreError` if that is neither yes nor no."""
    said = os.environ.get("KVD_AUTOSTART") or "1"
    if (word := said.lower()) not in _SWITCH:
        raise DataStoreError(f"KVD_AUTOSTART is one of {', '.join(_SWITCH)}, and not {said!r}.")
    return _SWITCH[word]


class Keys(NamedTuple):
    """What a client needs to speak CURVE: see `kvclient.contract.keys`."""

    server: str
    """The daemon's public key, in Z85."""
    own: str
    """The name of the client's pair, or the path of the file that it is in."""


def _keys(endpoint: str, server_key: str | None, key: str | None) -> Keys | None:
    """Return the keys for a network endpoint: those given, or else in the environment, or else in the settings file.

    None if there are none. Raises `DataStoreError` if there is only one of them.
    """
    config = {} if server_key and key else read_config()
    server_key, key = (
        given or os.environ.get(f"KVD_{name.upper()}") or config.get(name)
        for name, given in (("server_key", server_key), ("key", key))
    )
    if not server_key and not key:
        return None
    if not server_key or not key:
        missing = "server_key ('kvctl keys server' shows it where the daemon runs)" if key else "key ('kvctl keys new')"
        raise DataStoreError(f"To connect to {endpoint} takes a server_key and a key, and there is no {missing}.")
    return Keys(str(server_key), str(key))


class Target:
    """The daemon that a client talks to: its endpoint, and the store to start a daemon for if none listens there.

    A given `endpoint` or `store` comes first, then `KVD_ENDPOINT` and `KVD_STORE`, then the settings file, then the
    default; a variable that is empty is as good as none. A daemon is started only on a store's default endpoint: who
    names an endpoint runs the daemon himself.
    """

    def __init__(
        self,
        store: str | None = None,
        endpoint: str | None = None,
        *,
        autostart: bool = True,
        server_key: str | None = None,
        key: str | None = None,
    ) -> None:
        self._given = {name: str(value) for name, value in (("store", store), ("endpoint", endpoint)) if value}
        config: dict[str, Any] = {}
        if endpoint is None and store is None:
            endpoint = os.environ.get("KVD_ENDPOINT") or None
        if endpoint is None and store is None:
            store = os.environ.get("KVD_STORE") or None
            config = read_config()
            endpoint = config.get("endpoint") if store is None else None
        self.store = check_store_name(str(store or config.get("store") or DEFAULT_STORE))
        self.has_default_endpoint = endpoint is None
        self.endpoint = str(endpoint or default_endpoint(self.store))
        self.socket = socket_path(self.endpoint)
        self.autostart = autostart and endpoint is None and _autostart_is_on()
        self.keys = _keys(self.endpoint, server_key, key) if self.socket is None else None

    def without_autostart(self) -> Self:
        """Return the same daemon, which is not started if it does not run."""
        target = copy(self)
        target.autostart = False
        return target

    @property
    def command(self) -> str:
        """What a person types to start this daemon."""
        return shlex.join(["kvd", *(word for name, value in self._given.items() for word in (f"--{name}", value))])

    @property
    def options(self) -> list[str]:
        """The options with which a daemon serves what this client asks for, and where it looks for it.

        The endpoint is among them, as the daemon's environment may differ from the one in which this was made.
        """
        store = self._given.get("store")
        return [*(["--store", store] if store is not None else []), "--endpoint", self.endpoint]

    def data_file(self) -> Path:
        """Return the file that a daemon started with `options` opens, as the settings say now."""
        variables = {name: os.environ.get(f"KVD_{name.upper()}") for name in ("store", "file", "endpoint")}
        environment = {name: value for name, value in variables.items() if value}
        settings = merged([read_config(), environment, self._given])
        file = settings.get("file")
        return Path(os.path.expanduser(str(file))) if file else default_file(self.store)
