"""kvctl edit: a value in one's editor, and back if nobody was faster."""

import json
import os
import re
import stat
from pathlib import Path

import pytest

from processes import KVCTL
from terminal import without_colour


@pytest.fixture(autouse=True)
def _temporary(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where drafts lie, of which some are kept


@pytest.fixture
def editor(tmp_path):
    """Make an editor of a shell script that is given the file."""

    def editor(script):
        path = tmp_path / "editor"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        return str(path)

    return editor


def kept(done):
    """The file with what was typed, as the message names it."""
    (path,) = re.findall(r"What you typed is in (/\S+)", done.stderr)
    return Path(path)


class TestPuttingBack:
    def test_value_is_what_was_typed(self, run, shared_store, key, editor):
        """The editor gets it indented, and what it leaves is stored. No file stays behind."""
        shared_store.create(key, {"name": "value1"})
        seen = editor('cp "$1" "$0.seen"; echo "$1" >"$0.path"; echo "[1, 2]" >"$1"')
        done = run("edit", key, EDITOR=seen)

        assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
        assert [1, 2] == shared_store.read(key)
        assert '{\n  "name": "value1"\n}\n' == Path(f"{seen}.seen").read_text()
        assert not Path(Path(f"{seen}.path").read_text().strip()).parent.exists()

    def test_ttl_and_owner_stay(self, run, shared_store, key, editor):
        """A key that would have expired, or ended with a process, still does."""
        shared_store.create(f"{key}a", 1, ttl=500)
        shared_store.create(f"{key}b", 1, ephemeral=True)
        expires = shared_store.entry(f"{key}a").expires_at
        for each in (f"{key}a", f"{key}b"):
            assert 0 == run("edit", each, EDITOR=editor('echo 2 >"$1"')).returncode

        assert (2, expires) == shared_store.entry(f"{key}a")[1:4:2]
        assert (2, os.getpid()) == (shared_store.read(f"{key}b"), shared_store.entry(f"{key}b").owner.pid)

    def test_visual_comes_first_and_may_have_options(self, run, shared_store, key, editor):
        """As with other programs."""
        shared_store.create(key, 1)
        run("edit", key, VISUAL=f"{editor('echo $1 >$2')} 3", EDITOR="false")

        assert 3 == shared_store.read(key)

    def test_json_tells_the_revision(self, run, shared_store, key, editor):
        """For programs, which may bring an editor too."""
        shared_store.create(key, 1)
        done = run("edit", key, "--json", EDITOR=editor('echo 2 >"$1"'))

        assert shared_store.entry(key).revision == json.loads(done.stdout)["revision"]


class TestNothingToDo:
    @pytest.mark.parametrize("script", ["true", ': >"$1"', 'echo >"$1"', """echo '{"a":1}' >"$1" """])
    def test_nothing_was_changed(self, run, shared_store, key, editor, script):
        """Left as it was, emptied, or the same value in another form: the revision stays."""
        shared_store.create(key, {"a": 1})
        revision = shared_store.entry(key).revision
        done = run("edit", key, EDITOR=editor(script))

        assert (0, "", "Nothing was changed.\n") == (done.returncode, done.stdout, done.stderr)
        assert revision == shared_store.entry(key).revision

    def test_key_that_does_not_exist(self, run, key):
        """Exit code 3; no editor is opened."""
        assert 3 == run("edit", key, EDITOR="false").returncode

    def test_editor_that_fails(self, run, shared_store, key):
        """Exit code 1, and which it was."""
        shared_store.create(key, 1)
        done = run("edit", key, EDITOR="no-such-editor")

        assert 1 == done.returncode
        assert "The editor failed: no-such-editor" in done.stderr
        assert "What you typed" not in done.stderr


class TestSomebodyWasFaster:
    def test_other_value_stays_and_is_shown(self, run, shared_store, key, editor):
        """Exit code 4; the change in between on standard error, what was typed in a file of one's own."""
        shared_store.create(key, {"a": 1, "b": 1})
        other = f"'{KVCTL[0]}' -c '{KVCTL[2]}' put {key} '{{\"a\": 2, \"b\": 1}}'"
        done = run("edit", key, EDITOR=editor(f'{other}; echo "[3]" >"$1"'))

        assert 4 == done.returncode
        assert {"a": 2, "b": 1} == shared_store.read(key)
        assert '-  "a": 1,\n+  "a": 2,\n' in done.stderr
        assert "[3]\n" == kept(done).read_text()
        assert 0o600 == stat.S_IMODE(kept(done).stat().st_mode)

    def test_key_is_gone(self, run, shared_store, key, editor):
        """It does not come back."""
        shared_store.create(key, 1)
        done = run("edit", key, EDITOR=editor(f"'{KVCTL[0]}' -c '{KVCTL[2]}' delete {key}; echo 2 >$1"))

        assert 4 == done.returncode
        assert "was deleted, or expired, meanwhile" in done.stderr
        assert "2\n" == kept(done).read_text()
        assert not shared_store.exists(key)


class TestWhatIsNoValue:
    def test_without_a_terminal_it_is_refused(self, run, shared_store, key, editor):
        """Exit code 2, and what was typed is kept."""
        shared_store.create(key, 1)
        done = run("edit", key, EDITOR=editor('echo "{oops" >"$1"'))

        assert 2 == done.returncode
        assert "What you typed is not JSON" in done.stderr
        assert "{oops\n" == kept(done).read_text()
        assert 1 == shared_store.read(key)

    def test_on_a_terminal_one_may_edit_it_again(self, open_terminal, shared_store, key, editor):
        """Return does so, and the value is stored then."""
        shared_store.create(key, 1)
        script = 'if test -e "$0.again"; then echo 2 >"$1"; else : >"$0.again"; echo oops >"$1"; fi'
        terminal = open_terminal("edit", key, stdin=True, EDITOR=editor(script))
        terminal.wait_for("Edit it again? [Y/n]")
        terminal.type("\n")
        terminal.end()

        assert 2 == shared_store.read(key)

    def test_on_a_terminal_one_may_give_up(self, open_terminal, shared_store, key, editor):
        """Exit code 2; the text is kept."""
        shared_store.create(key, 1)
        terminal = open_terminal("edit", key, stdin=True, EDITOR=editor('echo oops >"$1"'))
        terminal.wait_for("Edit it again?")
        terminal.type("n\n")

        assert "What you typed is in /" in without_colour(terminal.end(2)).replace("\n", "")
        assert 1 == shared_store.read(key)

    def test_what_the_store_refuses_is_kept(self, run, shared_store, key, editor):
        """A value that is too large: exit code 5."""
        shared_store.create(key, 1)
        done = run(
            "edit",
            key,
            EDITOR=editor('{ echo "\\""; head -c 1100000 /dev/zero | tr "\\\\0" x; echo "\\""; } | tr -d "\\n" >"$1"'),
        )

        assert 5 == done.returncode
        assert 1_100_000 < kept(done).stat().st_size
