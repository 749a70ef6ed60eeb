"""Asking the user's systemd: commands that are run, or only shown."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from kvclient.contract.errors import DataStoreError
from kvclient.contract.places import socket_directory


def check_there() -> None:
    """Raise `DataStoreError` with the alternative if there is no user manager."""
    if shutil.which("systemctl") is None or not (socket_directory().parent / "systemd").is_dir():
        raise DataStoreError(
            "There is no systemd for this user here: run 'kvd' in the foreground under a supervisor of your own, "
            "or let the first kvctl or Client start it in the background."
        )


@dataclass(frozen=True)
class Systemctl:
    """Runs `systemctl --user`; with `dry_run` it prints what would change something instead."""

    dry_run: bool

    def change(self, *arguments: str) -> None:
        """Run a command that changes something. Raises `DataStoreError` with what systemctl said."""
        if self.dry_run:
            print("systemctl --user", *arguments)
            return
        done = _run(*arguments)
        if done.returncode != 0:
            raise DataStoreError(f"systemctl --user {' '.join(arguments)}: {done.stderr.strip()}")

    def loaded(self, name: str) -> list[str]:
        """Return which units there are of a service, the socket first. Raises `DataStoreError` if there is none."""
        units = [f"{name}.socket", f"{name}.service"]
        found = [unit for unit in units if _run("show", "--property=LoadState", "--value", unit).stdout == "loaded\n"]
        if not found:
            raise DataStoreError(f"There is no {name}.service yet: 'kvctl service install' makes it one.")
        return found

    def check_places(self) -> None:
        """Raise `DataStoreError` if the manager has its settings or documents elsewhere than this shell.

        The service would then read other settings than those that the units were written for.
        """
        lines = _run("show-environment").stdout.splitlines()
        there = {name: value for name, _, value in (line.partition("=") for line in lines)}
        for name in ("XDG_CONFIG_HOME", "XDG_DOCUMENTS_DIR"):
            here = os.environ.get(name, "")
            if here != there.get(name, ""):
                raise DataStoreError(
                    f"{name} is {here or 'not set'} here and {there.get(name) or 'not set'} in your systemd, so the "
                    "service would look elsewhere for its settings and data. Make it the same for this command, or for "
                    "all your sessions (environment.d(5)) and log in again."
                )

    def active(self, unit: str) -> bool:
        """Tell whether a unit is started."""
        return _run("is-active", "--quiet", unit).returncode == 0

    def grants_namespaces(self) -> bool:
        """Tell whether the manager can give a service namespaces of its own: some kernels keep them from users."""
        return _starts("PrivateUsers=yes", "ProtectSystem=strict", "PrivateNetwork=yes") or not _starts()


def _starts(*properties: str) -> bool:
    """Tell whether a service with such properties starts."""
    options = [f"--property={text}" for text in ("Type=oneshot", *properties)]
    command = ["systemd-run", "--user", "--quiet", "--collect", *options, "true"]
    return subprocess.run(command, capture_output=True, check=False, env=_environment()).returncode == 0


def show(*command: str) -> int:
    """Run a command for its output and return its exit code."""
    sys.stdout.flush()
    return subprocess.run(command, check=False, env=_environment()).returncode


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["systemctl", "--user", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())


def _environment() -> dict[str, str]:
    """Return an environment in which systemctl finds the user's manager, also in a cron job or after `su`."""
    return {"XDG_RUNTIME_DIR": str(socket_directory().parent), **os.environ}
