"""The screens that docs/kvctl.md shows are those that a person sees."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import reference

from kvclient import Client
from processes import KVCTL, environment, wait_until
from terminal import Terminal, without_colour

(BLOCK,) = re.findall(r"^```\n(.*?)^```", reference.SCREENS, re.MULTILINE | re.DOTALL)
SCREENS = dict(re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", BLOCK, re.MULTILINE))

EXIT_CODES = {"kvctl read kye1": 3, "kvctl lock nightly --wait 0 -- ./backup.sh": 4}


@pytest.fixture
def store(daemon, directory):
    """A store as the screens show it."""
    with Client(daemon.endpoint) as store:
        store.create("job:1", {"state": "waiting"}, ttl=252.9)
        store.create("key1", {"name": "value1"})
        holder = subprocess.Popen(
            [*KVCTL, "lock", "nightly", "--", "sleep", "1000"],
            env=environment(directory, KVD_ENDPOINT=daemon.endpoint),
        )
        wait_until(lambda: Path(f"/proc/{holder.pid}/cmdline").read_bytes().startswith(b"sleep"))
        yield store
        holder.kill()
        holder.wait()


def without_chance(screen):
    """What differs from run to run, made the same; and with it the spaces that fill a column up."""
    for pattern, same in (
        (r"pid \d+", "pid N"),
        (r"#[0-9a-f]{16}", "#TICKET"),
        (r"4m \d+s", "4m Ns"),
        (r"\d\d:\d\d:\d\d", "TIME"),
        (" {2,}", "  "),
        ("[^ \n]*…", "…"),
    ):
        screen = re.sub(pattern, same, screen)
    return screen


@pytest.mark.usefixtures("store")
def test_documented_screens(daemon, directory):
    """At 100 columns, but for pids, times and how far a value is cut."""
    for command, screen in SCREENS.items():
        _, *arguments = shlex.split(command)
        terminal = Terminal(directory, *arguments, columns=100, KVD_ENDPOINT=daemon.endpoint)
        seen = without_colour(terminal.end(EXIT_CODES.get(command, 0)))

        assert without_chance(screen) == without_chance(seen), command


READABLE = {"0", "1", "31", "32", "35", "36"}
"""Attributes and colours for black and for white backgrounds: yellow and white are lost on one, blue on the other."""


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("read", "key1", "--entry"),
        ("status",),
        ("stats",),
        ("stores",),
        ("--help",),
        ("put", "--help"),
        ("watch", "--after", "0", "--once"),
        ("fly",),
        ("read", "kye1"),
    ],
    ids=" ".join,
)
def test_colours_can_be_read_on_any_background(daemon, directory, arguments):
    """Only such are used."""
    code = {"fly": 2, "read kye1": 3}.get(" ".join(arguments), 0)
    printed = Terminal(directory, *arguments, columns=100, KVD_ENDPOINT=daemon.endpoint).end(code)
    used = {number for codes in re.findall("\x1b\\[([0-9;]*)m", printed) for number in codes.split(";")}

    assert used <= READABLE
    assert used or arguments == ("stores",)
