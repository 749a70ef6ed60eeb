"""Putting a completion script where the shell finds it."""

import os
from pathlib import Path
from typing import NamedTuple

from kvclient.contract.errors import DataStoreError
from kvclient.contract.places import config_home, home

_BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")


class _Place(NamedTuple):
    script: Path
    startup: Path | None = None
    """What the shell reads at its start, and has to be told of the script in."""
    lines: str = ""


def current_shell() -> str:
    """Return the name of the shell that started this process, else of the user's: `bash`."""
    try:
        name = Path(f"/proc/{os.getppid()}/comm").read_text().strip()
    except OSError:
        name = ""
    return name if name in ("bash", "zsh", "fish") else Path(os.environ.get("SHELL", "")).name


def install(shell: str, script: str) -> list[str]:
    """Write the script, and have the shell read it. Returns what was done, a sentence each. Raises `DataStoreError`."""
    place = _place(shell)
    try:
        done = [_write(place.script, script)]
        if place.startup is not None and place.lines not in _text(place.startup):
            with place.startup.open("a", encoding="utf-8") as file:
                file.write(f"\n{place.lines}\n")
            done.append(f"Added to {place.startup}: {place.lines}")
    except OSError as error:
        raise DataStoreError(
            f"Completion cannot be installed: {error.filename}: {error.strerror}. "
            f"'kvctl completion {shell}' prints the script."
        ) from None
    return [*done, f"Start a new {shell} to use it."]


def _place(shell: str) -> _Place:
    data = os.environ.get("XDG_DATA_HOME", "")
    data_home = Path(data) if data.startswith("/") else home() / ".local" / "share"
    if shell == "fish":
        return _Place(config_home() / "fish" / "completions" / "kvctl.fish")
    if shell == "zsh":
        script = data_home / "zsh" / "site-functions" / "_kvctl"
        zshrc = Path(os.environ.get("ZDOTDIR") or home()) / ".zshrc"
        return _Place(script, zshrc, f"fpath=({script.parent} $fpath); autoload -Uz compinit && compinit")
    script = data_home / "bash-completion" / "completions" / "kvctl"
    if _BASH_COMPLETION.exists():  # which looks there by itself
        return _Place(script)
    return _Place(script, home() / ".bashrc", f"source {script}")


def _write(path: Path, text: str) -> str:
    if path.exists() and _text(path) == text:
        return f"{path} is current."
    replaced = path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return f"{'Replaced' if replaced else 'Wrote'} {path}."


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""
