"""Completion: what each shell offers, asked of the shell itself, and where --install-completion puts the scripts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kvclient import Client
from processes import KVCTL, environment, kvctl


@pytest.fixture
def home(directory):
    """A home with a store whose daemon runs, and kvctl on the path; returns its environment."""
    binary = directory / "bin"
    binary.mkdir()
    (binary / "kvctl").write_text(f"#!/bin/sh\nexec '{KVCTL[0]}' -c '{KVCTL[2]}' \"$@\"\n")
    (binary / "kvctl").chmod(0o755)
    keys = '{"job:1": 1, "job:2": 1, "key1": 1, "with space": 1}'
    assert 0 == kvctl("batch-create", "-", "--timeout", "60", stdin=keys, directory=directory).returncode
    yield environment(directory, PATH=f"{binary}:{os.environ['PATH']}")
    kvctl("stop", directory=directory)


BASH = """
source <(kvctl completion bash)
COMP_LINE=$1 COMP_POINT=${#1}
_kvctl
printf '%s\\n' "${COMPREPLY[@]}"
"""


def bash(home, line):
    done = subprocess.run(["bash", "-c", BASH, "bash", line], env=home, capture_output=True, text=True, check=False)
    assert "" == done.stderr.replace("bash: line 1: compopt: not currently executing completion function\n", "")
    return [word for word in done.stdout.splitlines() if word]


def fish(home, line):
    script = "kvctl completion fish | source; complete -C $argv[1]"
    done = subprocess.run(["fish", "-c", script, line], env=home, capture_output=True, text=True, check=False)
    return [word.partition("\t")[0] for word in done.stdout.splitlines()]


class TestBash:
    def test_commands(self, home):
        """All that begin so."""
        assert {"put", "pop", "ping"} == set(bash(home, "kvctl p"))
        assert {"start", "stop", "status"} == set(bash(home, "kvctl service st"))
        assert ["bash", "zsh", "fish"] == bash(home, "kvctl completion ")

    def test_options(self, home):
        """Those of the command."""
        assert ["--ttl", "--timeout"] == bash(home, "kvctl put --t")
        assert {"--if-revision", "--keep-ttl"} <= set(bash(home, "kvctl put -"))
        assert "--keep-ttl" not in bash(home, "kvctl read -")

    def test_keys(self, home):
        """From the daemon; of a key with a colon bash wants what is behind it."""
        assert ["key1"] == bash(home, "kvctl read k")
        assert ["1", "2"] == bash(home, "kvctl delete key1 job:")
        assert ["with\\ space"] == bash(home, "kvctl read w")

    def test_stores(self, home):
        """For --store, and keys of the store that is named."""
        kvctl("create", "other1", "1", "--store", "other", "--timeout", "60", directory=Path(home["HOME"]))
        try:
            assert ["data_store", "other"] == bash(home, "kvctl read --store ")
            assert ["other1"] == bash(home, "kvctl read --store other ")
        finally:
            kvctl("stop", "--store", "other", directory=Path(home["HOME"]))


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
class TestFish:
    def test_commands_options_keys_and_stores(self, home):
        """As in bash."""
        assert {"put", "pop", "ping"} == set(fish(home, "kvctl p"))
        assert {"start", "stop", "status"} == set(fish(home, "kvctl service st"))
        assert {"--ttl", "--timeout"} == set(fish(home, "kvctl put --t"))
        assert ["job:1", "job:2"] == fish(home, "kvctl read job:")
        assert ["data_store"] == fish(home, "kvctl read --store ")
        assert {"bash", "fish", "zsh"} == set(fish(home, "kvctl completion "))


ZSH = """
autoload -Uz compinit && compinit -u -d $HOME/.zcompdump
eval "$(kvctl completion zsh)"
compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -l -- "${(M)@:#$PREFIX*}" }
words=("$@") CURRENT=$# PREFIX=${@[-1]}
_kvctl
"""


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
class TestZsh:
    @pytest.fixture
    def zsh(self, home):
        def zsh(*words):
            done = subprocess.run(
                ["zsh", "-fc", ZSH, "zsh", *words], env=home, capture_output=True, text=True, check=False
            )
            assert "" == done.stderr
            return done.stdout.splitlines()

        return zsh

    def test_commands_options_keys_and_stores(self, zsh):
        """As in bash."""
        assert {"put", "pop", "ping"} == set(zsh("kvctl", "p"))
        assert {"start", "stop", "status"} == set(zsh("kvctl", "service", "st"))
        assert {"--ttl", "--timeout"} == set(zsh("kvctl", "put", "--t"))
        assert ["job:1", "job:2"] == zsh("kvctl", "read", "job:")
        assert ["data_store"] == zsh("kvctl", "read", "--store", "")
        assert {"bash", "fish", "zsh"} == set(zsh("kvctl", "completion", ""))


class TestLookingUp:
    def test_no_daemon_is_started(self, home):
        """Nor waited for; nothing is said."""
        directory = Path(home["HOME"])
        kvctl("stop", directory=directory)
        done = kvctl("_complete", "keys", "k", directory=directory)

        assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
        assert 6 == kvctl("ping", "--timeout", "0.1", directory=directory).returncode

    def test_daemon_that_hangs_is_not_waited_for(self, daemon, directory):
        """The shell gets nothing, soon."""
        with Client(daemon.endpoint) as store:
            store.create("key1", 1)
        daemon.freeze()
        done = kvctl("_complete", "keys", "k", "kvctl", "--endpoint", daemon.endpoint, directory=directory)

        assert (0, "", "") == (done.returncode, done.stdout, done.stderr)

    def test_keys_that_would_drive_the_terminal_are_left_out(self, run, shared_store, key):
        """A right-to-left mark is a valid character of a key."""
        shared_store.batch_create({key: 1, f"{key}\u202e": 1})

        assert f"{key}\n" == run("_complete", "keys", key).stdout

    def test_typer_is_not_imported(self):
        """It alone takes longer than a Tab may."""
        code = (
            "import sys; from kvclient.cli.shortcut import of; of(['_complete', 'keys', 'k']); "
            "print('typer' in sys.modules or 'rich' in sys.modules)"
        )
        assert b"False\n" == subprocess.check_output([sys.executable, "-c", code])


class TestInstalling:
    @pytest.mark.parametrize(
        ("shell", "path"),
        [
            ("bash", ".local/share/bash-completion/completions/kvctl"),
            ("zsh", ".local/share/zsh/site-functions/_kvctl"),
            ("fish", ".config/fish/completions/kvctl.fish"),
        ],
    )
    def test_says_what_it_did(self, directory, shell, path):
        """Each file that it wrote; the second time nothing is written."""
        first = kvctl("--install-completion", directory=directory, SHELL=f"/bin/{shell}")
        startup = {each: each.read_text() for each in directory.glob(".*rc")}
        second = kvctl("--install-completion", directory=directory, SHELL=f"/bin/{shell}")

        assert (0, "") == (first.returncode, first.stderr)
        assert f"Wrote {directory / path}." in first.stdout
        assert all(str(each) in first.stdout for each in startup)
        assert kvctl("completion", shell, directory=directory).stdout == (directory / path).read_text()
        assert f"{directory / path} is current." in second.stdout
        assert startup == {each: each.read_text() for each in directory.glob(".*rc")}

    def test_what_is_in_the_startup_file_stays(self, directory):
        """It is added to."""
        (directory / ".zshrc").write_text("# mine")
        kvctl("--install-completion", directory=directory, SHELL="/bin/zsh")

        assert (directory / ".zshrc").read_text().startswith("# mine\nfpath=(")

    def test_shell_that_is_not_known(self, directory):
        """Exit code 2, with those that are."""
        for arguments in (("--install-completion",), ("completion", "tcsh")):
            done = kvctl(*arguments, directory=directory, SHELL="/bin/tcsh")

            assert 2 == done.returncode
            assert "bash, zsh, fish" in " ".join(done.stderr.split())
