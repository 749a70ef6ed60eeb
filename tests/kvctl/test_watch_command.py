"""kvctl watch: a line an event, for people, pipes and programs, and something to run for each."""

import json
import re
import signal
import subprocess

import pytest

from kvclient import Client
from processes import KVCTL, environment, kvctl, wait_until
from terminal import without_colour


@pytest.fixture
def watch(shared_daemon, directory):
    """Start kvctl watch; it ends with the test."""
    processes = []

    def watch(*arguments):
        environ = environment(directory, KVD_ENDPOINT=shared_daemon.endpoint, PYTHONUNBUFFERED="")
        processes.append(
            subprocess.Popen(
                [*KVCTL, "watch", *arguments], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return processes[-1]

    yield watch
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def history(shared_store, key):
    """A key that was created, updated and deleted; returns the revision before that."""
    before = shared_store.create(f"{key}:other", 0)
    shared_store.create(key, {"a": 1})
    shared_store.put(key, "x" * 500)
    shared_store.delete(key)
    return str(before)


class TestInAPipe:
    def test_line_comes_at_once(self, watch, shared_store, key, history):
        """Who reads it need not wait until a buffer is full."""
        process = watch(key, "--after", history)

        assert f'created\t{key}\t{{"a": 1}}\n' == process.stdout.readline()
        assert process.stdout.readline().startswith(f'updated\t{key}\t"xxx')
        assert f"deleted\t{key}\n" == process.stdout.readline()
        shared_store.create(key, 7)
        assert f"created\t{key}\t7\n" == process.stdout.readline()

    def test_as_json_lines(self, run, key, history):
        """With revision and time, as on the wire."""
        event = json.loads(run("watch", key, "--after", history, "--once", "--json").stdout)

        assert ("created", key, {"a": 1}) == (event["kind"], event["key"], event["value"])
        assert {"kind", "key", "value", "revision", "time"} == event.keys()

    def test_ctrl_c_ends_it(self, watch, key, history):
        """130, and nothing is said of it."""
        process = watch(key, "--after", history)
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)

        assert (130, "") == (process.returncode, errors)

    def test_reader_that_has_enough_ends_it(self, watch, shared_store, key, history):
        """As of `kvctl watch | head -n 1`: with the next event, without a word."""
        process = watch(key, "--after", history)
        process.stdout.readline()
        process.stdout.close()
        shared_store.create(key, 1)

        assert "" == process.stderr.read()
        assert 1 == process.wait(timeout=30)


class TestOnATerminal:
    @pytest.mark.parametrize("columns", [80, 200])
    def test_line_fits_the_terminal(self, open_terminal, key, history, columns):
        """Time, kind, key and value, in colour."""
        terminal = open_terminal("watch", key, "--after", history, columns=columns)
        terminal.wait_for("deleted")
        created, updated, *_ = without_colour(terminal.text).splitlines()

        assert re.fullmatch(rf'\d\d:\d\d:\d\d  created   {key} +{{"a": 1}}', created)
        assert columns == len(updated)
        assert updated.endswith("…")
        assert "\x1b[32mcreated" in terminal.text

    def test_terminal_gets_no_commands_from_an_event(self, open_terminal, shared_store, key):
        """A value cannot drive it."""
        revision = shared_store.create(key, "\x9b2J\x1b[31m") - 1
        printed = open_terminal("watch", key, "--after", str(revision), "--once").end()

        assert "\\u009b2J" in printed
        assert "\x9b" not in printed


class TestExec:
    def test_command_gets_the_event(self, run, key, history):
        """As JSON on standard input, the most of it in the environment too."""
        script = "cat; echo $KVD_EVENT_KIND $KVD_EVENT_KEY $KVD_EVENT_REVISION"
        done = run("watch", key, "--after", history, "--once", "--exec", script)
        event, said = done.stdout.splitlines()

        assert (0, "") == (done.returncode, done.stderr)
        assert ("created", {"a": 1}) == (json.loads(event)["kind"], json.loads(event)["value"])
        assert f"created {key} {int(history) + 1}" == said

    def test_command_that_fails_is_told_and_the_watch_goes_on(self, watch, key, history):
        """Each event once, in order, also those behind."""
        process = watch(key, "--after", history, "--exec", 'echo $KVD_EVENT_KIND; test "$KVD_EVENT_KIND" != updated')
        assert ["created\n", "updated\n", "deleted\n"] == [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)

        revision = int(history) + 2
        assert f"kvctl: The command failed for updated '{key}' at revision {revision}: exit code 1.\n" == errors

    def test_once_exits_with_the_command_s_exit_code(self, run, key, history):
        """So a script can wait for an event and act on it."""
        assert 7 == run("watch", key, "--after", history, "--once", "--exec", "exit 7").returncode
        assert 137 == run("watch", key, "--after", history, "--once", "--exec", "kill -9 $$").returncode


def test_changes_that_are_no_longer_kept(start_daemon, directory):
    """Exit code 1 and what to do, no traceback."""
    daemon = start_daemon()
    with Client(daemon.endpoint) as store:
        for number in range(3):
            store.put("key1", number)
        store.compact()
        wait_until(lambda: not store.status()["compacting"])
    daemon.stop()
    daemon.start()
    done = kvctl("watch", "--after", "0", "--once", directory=directory, KVD_ENDPOINT=daemon.endpoint)

    assert (1, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
    assert "no longer" in done.stderr
