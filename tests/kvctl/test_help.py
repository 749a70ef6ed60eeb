"""What helps a person on: help in colour and in the terminal's width, examples that work, hints behind errors."""

import os
import re
import subprocess

import pytest
import reference
import typer

from kvclient.cli.app import app
from processes import KVCTL, environment, kvctl
from terminal import Terminal, without_colour

COMMANDS = {
    name: command for name, command in reference.commands(typer.main.get_command(app), "kvctl") if name != "kvctl"
}
GROUPS = {"kvctl service", "kvctl keys"}
NEED_SYSTEMD = {name for name in COMMANDS if name.startswith("kvctl service ")} - {"kvctl service install"}
"""Shown in tests/systemd."""
NEED_TERMINAL = {"kvctl top"}
"""Shown in test_top.py."""
CHANGES = "while kvctl put job:2 1; do :; done & trap 'kill %1' EXIT;"
"""What goes on in a store that is watched."""


def example(name):
    (line,) = re.findall(r"^\s*Example: (.*)$", COMMANDS[name].help, re.MULTILINE)
    return line


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where examples are run: with kvctl on the path and files that they read. The daemon ends with the tests."""
    home = tmp_path_factory.mktemp("home")
    (home / "bin").mkdir()
    (home / "bin" / "kvctl").write_text(f"#!/bin/sh\nexec '{KVCTL[0]}' -c '{KVCTL[2]}' \"$@\"\n")
    (home / "backup.sh").write_text("#!/bin/sh\n")
    for script in (home / "bin" / "kvctl", home / "backup.sh"):
        script.chmod(0o755)
    public = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
    for command in (
        ("keys", "allow", "laptop", public),
        ("create", "key1", "1"),
        ("export", "keys.jsonl"),
        ("backup", "data_store.backup.json"),
    ):
        subprocess.run([*KVCTL, *command], cwd=home, env=environment(home), check=True, capture_output=True)
    yield home
    kvctl("stop", directory=home)


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - GROUPS - NEED_SYSTEMD - NEED_TERMINAL))
def test_example_does_what_it_says(home, name):
    """That of each command's help, in a store where the keys are that it needs."""
    kvctl("clear", "--yes", "--timeout", "60", directory=home)
    keys = '{"key1": {"name": "value1"}, "key2": 2, "job:1": "waiting", "visits": 6}'
    if name not in ("kvctl create", "kvctl batch-create"):
        assert 0 == kvctl("batch-create", "-", stdin=keys, directory=home).returncode
    path = f"{home / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"{CHANGES} {example(name)}" if name == "kvctl watch" else example(name)],
        cwd=home,
        env=environment(home, PATH=path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (0, "") == (
        done.returncode,
        re.sub(
            r"(?m)^(stopped|wrote|compaction|Nothing was changed|ipc:|exported|imported|restored|\d+ keys at).*\n",
            "",
            done.stderr,
        ),
    )


def test_every_command_has_an_example():
    """One line of the shell."""
    assert all(example(name) for name in COMMANDS.keys() - GROUPS)


class TestHelp:
    @pytest.mark.parametrize("columns", [80, 200])
    @pytest.mark.parametrize("arguments", [("--help",), ("put", "--help"), ("service", "--help")], ids=" ".join)
    def test_help_has_colour_and_fits(self, directory, arguments, columns):
        """On a terminal, in its width."""
        printed = Terminal(directory, *arguments, columns=columns).end()
        lines = without_colour(printed).splitlines()

        assert "\x1b[1mUsage:\x1b[0m kvctl" in printed
        assert "\x1b[36m" in printed
        assert columns - 40 < max(map(len, lines)) <= columns or columns == 200

    def test_text_is_the_same_without(self, directory):
        """In a pipe, with NO_COLOR and on a dumb terminal there is no colour."""
        coloured = Terminal(directory, "put", "--help").end()
        plain = [
            kvctl("put", "--help", directory=directory, COLUMNS="80").stdout,
            Terminal(directory, "put", "--help", NO_COLOR="1").end(),
            Terminal(directory, "put", "--help", term="dumb").end(),
        ]

        assert [without_colour(coloured)] * 3 == plain

    @pytest.mark.parametrize("name", COMMANDS)
    def test_help_speaks_no_python(self, name):
        """Each option and argument says in capitals what it takes, and the usage is that of every other program."""
        (command,) = [COMMANDS[name]]
        text = command.get_help(typer.Context(command, info_name=name))
        left = [line.split("  ")[0] for line in re.findall(r"^  (\S.*)$", text, re.MULTILINE)]

        assert not re.search(r"[{<>}]|list\[|\(data_store\)|x>=", text.split("Options:")[-1] + text.splitlines()[0])
        assert "--store NAME" in left or name in GROUPS | {"kvctl bench"} or name.split()[1] in ("service", "keys")
        assert all(each.metavar for each in command.params if each.param_type_name == "option" and not each.is_flag)

    def test_wrong_usage_on_a_terminal(self, directory):
        """What is wrong comes first and in colour, and below it what would be right."""
        printed = Terminal(directory, "put", "key1", "1", "--tll", "5").end(2)

        assert printed == (
            "\x1b[1;31mkvctl: \x1b[0mNo such option: --tll. Did you mean --ttl?\n"
            "       Usage: kvctl put [OPTIONS] KEY [VALUE]\n"
            "       See 'kvctl put --help'.\n"
        )

    def test_mistyped_command(self, directory):
        """The near one is named."""
        assert "Did you mean 'list'?" in kvctl("lst", directory=directory).stderr


class TestHints:
    @pytest.mark.parametrize("arguments", [("read",), ("delete",), ("update", "--string", "x"), ("pop",)], ids=" ".join)
    def test_mistyped_key(self, open_terminal, shared_store, key, arguments):
        """On a terminal the near one is named, also among many, and if the first letter is the wrong one."""
        shared_store.batch_create({f"0{key}-{n}": None for n in range(3000)})
        shared_store.create(f"0{key}:session", 1)
        shared_store.create(f"00{key}:session", 1)
        for meant, typo in ((f"0{key}:session", f"0{key}:sesion"), (f"00{key}:session", f"x0{key}:session")):
            assert f"Did you mean {meant}?" in open_terminal(arguments[0], typo, *arguments[1:]).end(3)
        shared_store.clear(f"0{key}-")

    def test_nothing_is_suggested_in_a_pipe(self, run, shared_store, key):
        """A script's log has one line an error."""
        shared_store.create(f"{key}:session", 1)

        assert 1 == run("read", f"{key}:sesion").stderr.count("\n")

    @pytest.mark.parametrize(
        ("arguments", "code", "hint"),
        [
            (("create", "KEY", "1"), 4, "To replace its value: kvctl put KEY VALUE"),
            (("put", "KEY", "1", "--if-revision", "0"), 4, "To see what it is now: kvctl read KEY --entry"),
            (("create", "x" * 300, "1"), 5, "Raise max_key_length in "),
        ],
        ids=["exists", "revision", "limit"],
    )
    def test_refused_write_says_what_to_do(self, open_terminal, shared_store, key, arguments, code, hint):
        """On a terminal, in a line of its own."""
        shared_store.create(key, 1)
        printed = open_terminal(*(each.replace("KEY", key) for each in arguments), columns=200).end(code)

        assert hint.replace("KEY", key) in printed

    def test_error_is_red(self, open_terminal, key):
        """What follows is not."""
        assert open_terminal("read", key).end(3).startswith("\x1b[1;31mkvctl: \x1b[0mKey ")


class TestClear:
    @pytest.mark.parametrize(
        ("typed", "code"), [("\x04", 1), (None, 130), ("what\nn\n", 1)], ids=["end", "Ctrl-C", "no"]
    )
    def test_leaves_the_keys_without_a_yes(self, open_terminal, shared_store, key, typed, code):
        """At the end of input and at Ctrl-C; an answer that is neither yes nor no is asked for again."""
        shared_store.create(key, 1)
        terminal = open_terminal("clear", key, stdin=True)
        terminal.wait_for("[y/N]: ")
        terminal.interrupt() if typed is None else terminal.type(typed)
        printed = terminal.end(code)

        assert 1 == shared_store.count(key)
        assert (2 if typed == "what\nn\n" else 1) == printed.count("[y/N]: ")
        assert "Abort" not in printed

    def test_does_not_ask_about_nothing(self, open_terminal, key):
        """Where no key begins so."""
        assert "0\n" == without_colour(open_terminal("clear", key, stdin=True).end())

    def test_asks_on_a_terminal(self, open_terminal, shared_daemon, shared_store, key):
        """With the number of keys; no is the default."""
        shared_store.batch_create({f"{key}a": 1, f"{key}b": 2})
        for answer, code, left in (("\n", 1, 2), ("y\n", 0, 0)):
            terminal = open_terminal("clear", key, stdin=True)
            terminal.wait_for(f"Delete 2 keys that begin with '{key}' from {shared_daemon.file}? [y/N]: ")
            terminal.type(answer)
            terminal.end(code)

            assert left == shared_store.count(key)
