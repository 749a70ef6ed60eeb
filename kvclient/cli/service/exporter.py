"""kvctl service install --exporter, and uninstall: `kvd-exporter` as a systemd user service, one for all stores."""

import sys
from importlib.util import find_spec
from pathlib import Path

from kvclient.cli.service.install import check_ours
from kvclient.cli.service.systemctl import Systemctl, check_there
from kvclient.cli.service.uninstall import remove
from kvclient.cli.service.units import MARK, quoted, replaced, shipped, without_namespaces
from kvclient.contract.errors import DataStoreError
from kvclient.contract.places import config_home
from kvclient.screen.usage import UsageError

_NAME = "kvd-exporter"
_UNIT = f"{_NAME}.service"


def unit(*, namespaces: bool) -> str:
    """Return the unit's text for this installation. `namespaces`: whether this kernel lets a user have them."""
    command = " ".join(map(quoted, (sys.executable, "-P", "-m", "kvclient.exporter")))
    text = replaced(shipped(_UNIT), "ExecStart=kvd-exporter", f"ExecStart={command}")
    return MARK.format(name=_NAME) + (text if namespaces else without_namespaces(text))


def install(store: str | None, *, dry_run: bool) -> None:
    """Write the unit and start it, now and at each login."""
    _check(store)
    if find_spec("prometheus_client") is None:
        raise DataStoreError("The exporter needs prometheus-client: pip install 'kvd-store[exporter]'.")
    systemctl, path = Systemctl(dry_run), _path()
    if dry_run:
        print(f"# {path}\n{unit(namespaces=True)}")
    else:
        check_there()
        check_ours(path, _NAME)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(unit(namespaces=systemctl.grants_namespaces()))
        print(f"wrote {path}", file=sys.stderr)
    systemctl.change("daemon-reload")
    systemctl.change("enable", _UNIT)
    systemctl.change("restart", _UNIT)
    if not dry_run:
        print("Metrics of all your stores: http://127.0.0.1:9867/metrics (docs/metrics.md)", file=sys.stderr)


def uninstall(store: str | None, *, dry_run: bool) -> None:
    """Stop the exporter and remove its unit."""
    _check(store)
    systemctl, path = Systemctl(dry_run), _path()
    if not dry_run:
        check_there()
    if not path.exists():
        print(f"{_UNIT} is not installed.", file=sys.stderr)
        return
    check_ours(path, _NAME)
    systemctl.change("disable", "--now", _UNIT)
    remove([path], systemctl, dry_run=dry_run)


def _path() -> Path:
    return config_home() / "systemd" / "user" / _UNIT


def _check(store: str | None) -> None:
    if store is not None:
        raise UsageError("The exporter serves all stores: give either --store or --exporter.")
