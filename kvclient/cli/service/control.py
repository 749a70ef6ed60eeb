"""kvctl service start, stop, restart, enable, disable, status, logs"""

import sys

from kvclient.cli.commands import stop
from kvclient.cli.options import Options
from kvclient.cli.service.systemctl import Systemctl, check_there, show
from kvclient.cli.service.units import Service
from kvclient.client.autostart import listening

_STOP_SECONDS = 30.0
_DONE = {
    "start": "started {units}",
    "stop": "stopped {units}. A client would now start a daemon of its own; KVD_AUTOSTART=0 turns that off.",
    "restart": "restarted {units}",
    "enable": "{units} will be started at each login. 'kvctl service start' starts it now.",
    "disable": "{units} will not be started at login any more. 'kvctl service stop' stops it now.",
}


def change(verb: str, store: str | None, *, dry_run: bool) -> None:
    """Start, stop, restart, enable or disable a store's service."""
    service, systemctl = Service.find(store), Systemctl(dry_run)
    check_there()
    units = systemctl.loaded(service.name)
    if verb in ("enable", "disable"):
        units = units[:1]  # the socket starts the service
    if verb == "restart":
        units = units[-1:]  # the socket goes on listening, so that requests wait
    if verb in ("start", "restart"):
        # What failed too often is started nevertheless when a person asks for it.
        systemctl.change("reset-failed", *systemctl.loaded(service.name))
        if not dry_run:
            make_way(service, systemctl)
    systemctl.change(verb, *units)
    if not dry_run:
        print(_DONE[verb].format(units=" and ".join(units)), file=sys.stderr)


def make_way(service: Service, systemctl: Systemctl) -> None:
    """End a daemon that a client started while systemd did not listen: it holds the data file."""
    units = (f"{service.name}.socket", f"{service.name}.service")
    if service.socket is not None and not any(map(systemctl.active, units)) and listening(service.socket):
        stop.run(Options(endpoint=service.endpoint, timeout=_STOP_SECONDS))


def status(store: str | None, *, dry_run: bool) -> int:
    """Show systemd's view of a store's service; return 0 if it listens or runs, else 1."""
    service, systemctl = Service.find(store), Systemctl(dry_run)
    check_there()
    units = systemctl.loaded(service.name)
    command = ["systemctl", "--user", "status", "--no-pager", *reversed(units)]
    if dry_run:
        print(*command)
        return 0
    show(*command)
    return 0 if any(map(systemctl.active, units)) else 1


def logs(store: str | None, *, follow: bool, lines: int, dry_run: bool) -> int:
    """Show the journal of a store's service."""
    service = Service.find(store)
    check_there()
    command = ["journalctl", "--user", f"--unit={service.name}.service", f"--lines={lines}", "--no-pager"]
    command += ["--follow"] if follow else []
    if dry_run:
        print(*command)
        return 0
    return show(*command)
