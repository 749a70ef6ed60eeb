"""The manual pages, made from what `--help` says: `python tests/docs/manual.py` writes those in man/."""

import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

import reference
import typer

from kvclient.screen.help import placeholder, row
from kvd.version import VERSION

DIRECTORY = Path(__file__).parents[2] / "man"
_COMMON = {"store", "endpoint", "timeout", "json"}
"""Options of nearly all commands, which a page describes once."""
_NAMES = {
    "kvctl": "share keys between the processes of this machine",
    "kvd": "serve a key-value store from one JSON file",
    "kvd-exporter": "metrics of key-value stores for Prometheus",
}
_EXIT_CODES = {
    "kvctl": [
        (what, meaning) for what, meaning in re.findall(r"^\| (\d) \| (.+) \|$", reference._INTRODUCTION, re.MULTILINE)
    ],
    "kvd": [("0", "ended cleanly, by SIGTERM, SIGINT or kvctl stop"), ("1", "an error, which is on standard error")],
    "kvd-exporter": [("0", "ended by SIGTERM or SIGINT"), ("1", "an error, which is on standard error")],
}
_ENVIRONMENT = {
    "kvctl": [
        ("KVD_STORE", "The store's name, unless an option gives it."),
        ("KVD_ENDPOINT", "The daemon's endpoint, unless an option gives it or names a store."),
        ("KVD_AUTOSTART", "0: do not start a daemon in the background."),
        ("NO_COLOR", "If set and not empty, no colours are used."),
    ],
    "kvd": [("KVD_…", "Any setting, in capitals: KVD_SYNC=interval is --sync interval.")],
    "kvd-exporter": [],
}
_FILES = [
    ("~/Documents/STORE.json", "The data file, unless a setting names another. The default store is data_store."),
    ("~/.config/kvd/config.toml", 'Settings, one per line: sync = "interval".'),
    ("$XDG_RUNTIME_DIR/kvd/STORE.sock", "Where the daemon listens, unless a setting names another endpoint."),
    ("~/.local/state/kvd/log/STORE.log", "The log of a daemon that kvctl or another client started."),
]


def roff(text: str) -> str:
    """Return text as it stands in a page: nothing of it is a request or an escape."""
    text = text.replace("\\", "\\(rs").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti").replace('"', "\\(dq")
    text = re.sub(r"[^\x00-\x7f]", lambda found: f"\\[u{ord(found[0]):04X}]", text)
    return re.sub(r"^\.", r"\\&.", text, flags=re.MULTILINE)


def page(app: Any, name: str) -> str:
    """Return the page of a command line."""
    command = typer.main.get_command(app)
    below = list(reference.commands(command, name))[1:]
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    commands = r"\fICOMMAND\fR [\fIARGUMENTS\fR]" if name == "kvctl" else r"[\fICOMMAND\fR [\fIARGUMENTS\fR]]"
    lines = [
        f'.TH {name.upper()} 1 "" "kvd {VERSION}" "User Commands"',
        ".SH NAME",
        f"{roff(name)} \\- {_NAMES[name]}",
        ".SH SYNOPSIS",
        f".B {name}",
        rf"[\fIOPTIONS\fR] {commands if below else roff(' '.join(map(placeholder, arguments)))}",
        ".SH DESCRIPTION",
        *_prose(command.help or "", between=".PP"),
        ".SH OPTIONS",
        *_rows([row(parameter) for parameter in arguments]),
        *_options(command, skip=set()),
    ]
    if name == "kvctl":
        lines += [".PP", "Every command has these options, too. They go after the command.".replace("-", "\\-")]
        lines += _options(dict(below)["kvctl status"], only=_COMMON)
    if below:
        lines.append(".SH COMMANDS")
    purposes: dict[str, list[str]] = {}
    for each in getattr(command, "commands", {}).values():  # in the order of the help
        purposes.setdefault(_purpose(each), [])
    for called, each in below:
        top = called.split()[1]
        purposes[_purpose(command.commands[top])] += _command(called, each)
    for purpose, section in purposes.items():
        lines += ([f".SS {roff(purpose)}"] if purpose else []) + section
    for title, rows in (
        ("EXIT STATUS", _EXIT_CODES[name]),
        ("ENVIRONMENT", _ENVIRONMENT[name]),
        ("FILES", _FILES),
    ):
        lines += [f".SH {roff(title)}", *_rows(rows)] if rows else []
    lines += [".SH SEE ALSO", *(f".BR {roff(other)} (1)" for other in _NAMES if other != name)]
    return "\n".join(lines) + "\n"


def _purpose(command: Any) -> str:
    purpose = getattr(command, "rich_help_panel", None)
    return purpose if isinstance(purpose, str) else ""


def _command(called: str, command: Any) -> Iterator[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    placeholders = " ".join(map(placeholder, arguments))
    yield ".TP"
    yield rf"\fB{roff(called)}\fR [\fIOPTIONS\fR] \fI{roff(placeholders)}\fR".replace(r" \fI\fR", "")
    yield from _prose(command.help or "")
    rows = [row(parameter) for parameter in arguments]
    options = list(_options(command, skip=_COMMON))
    if rows or options:
        yield ".RS"
        yield from _rows(rows)
        yield from options
        yield ".RE"


def _options(command: Any, skip: set[str] = frozenset(), only: set[str] | None = None) -> Iterator[str]:
    options = [p for p in command.params if p.param_type_name == "option" and "completion" not in p.name]
    chosen = [p for p in options if p.name not in skip and (only is None or p.name in only)]
    return _rows([row(parameter) for parameter in chosen])


def _rows(rows: list[tuple[str, str]]) -> Iterator[str]:
    for what, meaning in rows:
        yield ".TP"
        yield rf"\fB{roff(what)}\fR"
        yield roff(" ".join(meaning.split()))


def _prose(text: str, between: str = ".IP") -> Iterator[str]:
    """Yield paragraphs; an example is set as it is typed."""
    for number, part in enumerate(cleandoc(text).replace("\b\n", "").split("\n\n")):
        if number:
            yield between
        if part.startswith("Example: "):
            yield "Example:"
            yield ".EX"
            yield roff(part.removeprefix("Example: "))
            yield ".EE"
        else:
            yield roff(" ".join(part.split()))


def pages() -> dict[Path, str]:
    """Return all pages by their place."""
    from kvclient.cli.app import app as kvctl
    from kvclient.exporter.app import app as exporter
    from kvd.__main__ import app as kvd

    apps = ((kvctl, "kvctl"), (kvd, "kvd"), (exporter, "kvd-exporter"))
    return {DIRECTORY / f"{name}.1": page(app, name) for app, name in apps}


if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text)
