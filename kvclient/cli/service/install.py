"""kvctl service install"""

import os
import pwd
import sys
from pathlib import Path

from kvclient.cli.service.control import make_way
from kvclient.cli.service.systemctl import Systemctl, check_there
from kvclient.cli.service.units import MARK, Service
from kvclient.contract import keys
from kvclient.contract.errors import DataStoreError

_CLIENTS = ("KVD_STORE", "KVD_AUTOSTART")
_LINGERING = Path("/var/lib/systemd/linger")


def run(store: str | None, *, dry_run: bool) -> None:
    """Write the units of a store, have systemd listen, and say what comes next."""
    service, systemctl = Service.find(store), Systemctl(dry_run)
    first = f"{service.name}.socket" if service.socket is not None else f"{service.name}.service"
    listens_on = False
    if dry_run:
        for path, text in service.files(namespaces=True).items():
            print(f"# {path}\n{text}")
    else:
        check_there()
        systemctl.check_places()
        service.check()
        listens_on = first not in _write(service, systemctl) and service.socket is not None and systemctl.active(first)
    systemctl.change("daemon-reload")
    if not dry_run:
        make_way(service, systemctl)
    systemctl.change("enable", first)
    if listens_on:
        # While nobody listened, a client would start a daemon of its own.
        systemctl.change("try-restart", f"{service.name}.service")
    else:
        systemctl.change("restart", first)
    if not dry_run:
        _tell(service, first)


def _write(service: Service, systemctl: Systemctl) -> set[str]:
    """Write the unit files and return the names of those that are new or differ from what was there."""
    namespaces = systemctl.grants_namespaces()
    files = service.files(namespaces=namespaces)
    for path in service.paths:
        check_ours(path, service.name)
        if path not in files and path.exists():  # the settings named endpoints of another kind before
            if path.suffix != ".conf":
                systemctl.change("disable", "--now", path.name)
            path.unlink()
    if service.opens_network:
        keys.server()  # the service can write nothing there
    service.directory.mkdir(parents=True, exist_ok=True)
    changed = {path.name for path, text in files.items() if not path.exists() or path.read_text() != text}
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        _say(f"wrote {path}")
    if not namespaces:
        _say("This system keeps user namespaces from services, so this one can write where you can (docs/systemd.md).")
    return changed


def check_ours(path: Path, name: str) -> None:
    """Raise if there is a unit file of the service `name` at `path` that somebody else wrote."""
    if path.exists() and not path.read_text().startswith(MARK.format(name=name)):
        raise DataStoreError(f"{path} was not written by 'kvctl service install': move it away first.")


def _tell(service: Service, first: str) -> None:
    if service.socket is not None:
        _say(f"{first} listens on {service.endpoint} and starts {service.name}.service with the first request.")
    else:
        _say(f"{first} serves {service.endpoint}.")
    if service.network is not None:
        _say(f"For other machines it serves {service.network}: docs/network.md says who gets in.")
    option = f" --store {service.store}" if "@" in service.name else ""
    _say(f"""Next: kvctl create key1 '{{"name": "value1"}}'{option} · kvctl service status{option}""")
    unseen = sorted(name for name in os.environ if name.startswith("KVD_") and name not in _CLIENTS)
    if unseen:
        _say(f"The service does not see this shell's {', '.join(unseen)}: settings for it go into the settings file.")
    if not (_LINGERING / pwd.getpwuid(os.getuid()).pw_name).is_file():
        _say("It ends when you log out; 'loginctl enable-linger' lets it run from boot on.")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
