"""Where kvd's files belong: settings, documents, logs and sockets, by the rules of the XDG base directories.

The daemon, the clients and the systemd units must come to the same paths before they have spoken to each other. So
these rules depend on variables and on the user alone, not on what a process may see or write: inside a sandbox,
directories have other owners and modes, and a library that looks at those answers differently there.
"""

import os
import re
from pathlib import Path

_DOCUMENTS = "XDG_DOCUMENTS_DIR"
_user_dirs_line = re.compile(rf'\s*{_DOCUMENTS}\s*=\s*(?:"(?P<quoted>(?:\\.|[^"\\])*)"|(?P<bare>\S+))\s*(?:#.*)?')


def home() -> Path:
    """Return the user's home directory."""
    return Path(os.path.expanduser("~"))


def config_home() -> Path:
    """Return `$XDG_CONFIG_HOME`, or `~/.config`."""
    return _variable("XDG_CONFIG_HOME") or home() / ".config"


def state_home() -> Path:
    """Return `$XDG_STATE_HOME`, or `~/.local/state`."""
    return _variable("XDG_STATE_HOME") or home() / ".local" / "state"


def config_path() -> Path:
    """Return the settings file: `~/.config/kvd/config.toml`, unless `$XDG_CONFIG_HOME` is set."""
    return config_home() / "kvd" / "config.toml"


def log_directory() -> Path:
    """Return where daemons write their messages that a client started: `~/.local/state/kvd/log`."""
    return state_home() / "kvd" / "log"


def documents() -> Path:
    """Return the user's documents: `$XDG_DOCUMENTS_DIR`, or what `user-dirs.dirs` names, or `~/Documents`."""
    return _variable(_DOCUMENTS) or _from_user_dirs(config_home() / "user-dirs.dirs") or home() / "Documents"


def socket_directory() -> Path:
    """Return where the sockets of daemons are: `kvd` below `$XDG_RUNTIME_DIR` or `/run/user/UID`, where there is one.

    A cron job, `su` or `sudo` often has no `XDG_RUNTIME_DIR`, and finds the daemon of the user's session all the same,
    as systemd makes it `/run/user/UID`. A user without either gets `~/.local/state/kvd/run`. It is never a directory
    in /tmp, where another user could make it first.
    """
    if runtime := _variable("XDG_RUNTIME_DIR"):
        return runtime / "kvd"
    session = session_directory()
    try:
        is_ours = session.lstat().st_uid == os.geteuid() and session.is_dir() and not session.is_symlink()
    except OSError:
        is_ours = False
    return session / "kvd" if is_ours else state_home() / "kvd" / "run"


def session_directory() -> Path:
    """Return the runtime directory that systemd makes for this user's sessions, whether there is one or not."""
    return Path(f"/run/user/{os.geteuid()}")


def _variable(name: str) -> Path | None:
    """Return a variable that names a directory; the specification has relative ones ignored."""
    value = os.environ.get(name, "")
    return Path(value) if value.startswith("/") else None


def _from_user_dirs(path: Path) -> Path | None:
    """Return the documents that a `user-dirs.dirs` names: lines of shell, of which the last one counts."""
    try:
        lines = os.fsdecode(path.read_bytes()).splitlines()
    except OSError:
        return None
    found = None
    for line in lines:
        if match := _user_dirs_line.fullmatch(line):
            named = match["bare"] if match["quoted"] is None else match["quoted"]
            text = re.sub(r"\\(.)", r"\1", named)
            if text == "$HOME" or text.startswith("$HOME/"):
                found = home() / text[len("$HOME/") :]
            elif text.startswith("/"):
                found = Path(text)
    return found
