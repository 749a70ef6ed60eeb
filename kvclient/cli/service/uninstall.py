"""kvctl service uninstall"""

import sys
from collections.abc import Iterable
from pathlib import Path

from kvclient.cli.service.install import check_ours
from kvclient.cli.service.systemctl import Systemctl, check_there
from kvclient.cli.service.units import Service


def run(store: str | None, *, dry_run: bool) -> None:
    """Stop a store's service and remove the units that `install` wrote. The data file stays."""
    service, systemctl = Service.find(store), Systemctl(dry_run)
    if not dry_run:
        check_there()
    files = [path for path in service.paths if path.exists()]
    if not files:
        print(f"{service.name}.service is not installed.", file=sys.stderr)
        return
    for path in files:
        check_ours(path, service.name)
    systemctl.change("disable", "--now", *(path.name for path in files if path.suffix != ".conf"))
    remove(files, systemctl, dry_run=dry_run)
    if not dry_run:
        print(f"The data file stays where it is, in {service.directory}.", file=sys.stderr)


def remove(files: Iterable[Path], systemctl: Systemctl, *, dry_run: bool) -> None:
    """Remove unit files and have systemd forget them."""
    for path in files:
        if dry_run:
            print(f"rm {path}")
        else:
            path.unlink()
            print(f"removed {path}", file=sys.stderr)
    systemctl.change("daemon-reload")
