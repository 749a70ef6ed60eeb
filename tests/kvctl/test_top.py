"""kvctl top: what it asks for, what comes of it, what it shows and takes: by textual's own pilot and on terminals."""

import asyncio
import os
import pty
import shlex
import shutil
import subprocess
import sys
import termios
import time

import pytest
from textual.widgets import DataTable, Input, Static

from kvclient import Client
from kvclient.cli.top.app import Top
from kvclient.cli.top.rates import rates
from kvclient.cli.top.source import Source, process_name
from kvclient.cli.top.tables import event_line, process_row, value_text
from kvclient.contract.records import Entry, Event
from processes import KVCTL, environment, kvctl, wait_until
from terminal import Terminal


@pytest.fixture
def store(daemon):
    with Client(daemon.endpoint) as store:
        yield store


class TestRates:
    def stats(self, **more):
        zeros = dict.fromkeys(["commits", "committed", "sync_seconds", "hits", "misses"], 0)
        return {"uptime": 10.0, "operations": {}, "errors": {}, **zeros, **more}

    def test_are_of_the_time_between(self):
        """Each a second; times and shares of what happened in it."""
        before = self.stats(operations={"read": 100, "put": 7}, hits=90, misses=10, commits=5)
        after = self.stats(
            uptime=12.0,
            operations={"read": 140, "put": 17, "ping": 2},
            errors={"KeyNotFoundError": 10},
            hits=120,
            misses=20,
            commits=10,
            committed=20,
            sync_seconds=0.05,
        )

        assert (26.0, 20.0, 5.0, 5.0, 2.5, 4.0, 0.01, 0.75) == rates(before, after)

    def test_where_nothing_happened_there_is_nothing_to_tell(self):
        """No commit has no duration, and no read no hit rate."""
        assert (0.0, 0.0, 0.0, 0.0, 0.0, None, None, None) == rates(self.stats(), self.stats(uptime=11.0))

    def test_a_restart_is_no_negative_rate(self):
        """The counters begin anew."""
        assert rates(self.stats(commits=9), self.stats(uptime=0.5)) is None
        assert rates(self.stats(commits=9), self.stats(uptime=20.0)) is None


class TestSource:
    def test_tells_the_latest_events_once(self, store):
        """In order, with those just before it began; of many changes between two samples the last ones."""
        source = Source(store)
        store.put("a", 1)
        assert [("created", "a")] == self.events(source)
        store.batch_create({"b": 1, "c": 2})
        store.delete("a")
        assert [("created", "a"), ("created", "b"), ("created", "c"), ("deleted", "a")] == self.events(source)
        for number in range(100):
            store.put("many", number)
        assert list(range(80, 100)) == [event.value for event in source.sample().events if event.key == "many"]

    def events(self, source):
        return [(event.kind, event.key) for event in source.sample().events]

    def test_goes_on_where_the_history_is_gone(self, store):
        """After a compaction, and with another file in the place of the store's."""
        source = Source(store)
        store.put("a", 1)
        store.compact()
        wait_until(lambda: store.stats()["compactions"])
        source.sample()
        store.put("b", 1)
        assert ("created", "b") == self.events(source)[-1]

    def test_knows_who_has_connections(self, store):
        """Which processes, by the kernel's word; who watches, and how many connections."""
        watcher = subprocess.Popen([*KVCTL, "watch", "--endpoint", store.endpoint])
        try:
            wait_until(lambda: store.status()["watchers"])
            found = {each["pid"]: (each["connections"], each["watching"]) for each in store.status()["processes"]}
        finally:
            watcher.kill()
            watcher.wait()
        assert {os.getpid(): (1, 0), watcher.pid: (1, 1)} == found


@pytest.mark.parametrize(
    ("known", "called"),
    [
        ({"pid": os.getpid(), "uid": 0}, process_name(os.getpid())),
        ({"key": "laptop"}, "key laptop"),
        ({"uid": 7}, "uid 7"),
    ],
)
def test_who_has_no_pid_here_is_called_by_what_is_known(known, called):
    """The key over TCP, the uid of who comes from another pid namespace."""
    pid, name, *_ = map(str, process_row({**known, "connections": 1, "watching": 0}))

    assert (str(known.get("pid", "")), called) == (pid, name)


def test_a_process_is_called_by_its_program():
    """Or by the script that Python runs."""
    sleeping = subprocess.Popen(["sleep", "60"])
    module = subprocess.Popen([sys.executable, "-m", "http.server", "--help"], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: process_name(sleeping.pid) == "sleep")
    finally:
        sleeping.kill()
        sleeping.wait()
        module.wait()
    assert "?" == process_name(sleeping.pid)


def test_nothing_of_a_value_is_a_command_to_the_terminal():
    """Nor is it markup."""
    bad = "\x1b[2J\u202e[red]x"

    value = value_text(Entry(bad, bad, 1)).plain
    event = event_line(Event("created", bad, bad, None, 1, 0.0)).plain
    for text in (value, event):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "[red]x" in text


class TestScreen:
    def drive(self, store, steps, size=(120, 40)):
        """Have a coroutine drive the screen."""

        async def run():
            app = Top(store)
            async with app.run_test(size=size) as pilot:
                await steps(app, pilot)

        asyncio.run(run())

    async def until(self, pilot, condition):
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "it did not come true within 30 s"
            await pilot.pause(0.02)

    def keys(self, app):
        table = app.query_one("#list", DataTable)
        return [table.get_row_at(row)[0].plain for row in range(table.row_count)]

    def text(self, app, where):
        return str(app.query_one(where, Static).render())

    def test_a_long_key_leaves_the_other_columns_on_the_screen(self, store):
        """It is cut; its value is shown with the whole key."""
        store.create("k" * 200, "value1")

        async def steps(app, pilot):
            await self.until(pilot, lambda: self.keys(app))
            table = app.query_one("#list", DataTable)
            assert "…" == self.keys(app)[0][-1]
            assert table.virtual_size.width <= table.size.width
            await self.until(pilot, lambda: "k" * 200 in self.text(app, "#content"))

        self.drive(store, steps)

    def test_a_low_terminal_shows_the_keys(self, store):
        """Clients and events leave them the room."""
        store.create("key1", 1)

        async def steps(app, pilot):
            await self.until(pilot, lambda: self.keys(app) and app.query_one("#list", DataTable).size.height >= 2)
            assert not app.query_one("#below").display

        self.drive(store, steps, size=(80, 16))

    def test_shows_the_store(self, store, daemon):
        """File, counters, keys, clients, events; and what comes later."""
        store.batch_create({"a": 1, "b": [True]})

        async def steps(app, pilot):
            await self.until(pilot, lambda: self.keys(app) == ["a", "b"])
            assert str(daemon.file) in self.text(app, "#state")
            assert "2 keys" in self.text(app, "#state")
            assert "created  a 1" in self.text(app, "#happened")
            clients = app.query_one("#clients", DataTable)
            assert str(os.getpid()) in [clients.get_row_at(row)[0].plain for row in range(clients.row_count)]

            await asyncio.to_thread(store.put, "c", 3)
            await self.until(pilot, lambda: self.keys(app) == ["a", "b", "c"])
            await self.until(pilot, lambda: self.text(app, "#commits .number") != "–")
            assert "created  c 3" in self.text(app, "#happened")

        self.drive(store, steps)

    def test_a_key_is_looked_into(self, store):
        """The value of the one under the cursor, which stays with its key; also when it changes, and when it goes."""
        store.batch_create({"a": 1, "b": {"name": "value1"}})

        async def steps(app, pilot):
            await self.until(pilot, lambda: self.keys(app) == ["a", "b"])
            await pilot.press("down")
            await self.until(pilot, lambda: '"name": "value1"' in self.text(app, "#content"))
            await asyncio.to_thread(store.create, "aa", 1)
            await asyncio.to_thread(store.put, "b", "changed")
            await self.until(pilot, lambda: '"changed"' in self.text(app, "#content"))
            assert 2 == app.query_one("#list", DataTable).cursor_row
            await asyncio.to_thread(store.delete, "b")
            await self.until(pilot, lambda: "b is gone" in self.text(app, "#content") or '"aa"' not in self.keys(app))

        self.drive(store, steps)

    def test_keys_are_filtered_as_one_types(self, store):
        """By prefix; Enter and Escape go back to the keys, and q in a filter is a letter."""
        store.batch_create({"a": 1, "job:1": 1, "job:2": 2, "q": 1})

        async def steps(app, pilot):
            await self.until(pilot, lambda: len(self.keys(app)) == 4)
            await pilot.press("slash", *"job:")
            await self.until(pilot, lambda: self.keys(app) == ["job:1", "job:2"])
            await pilot.press("enter")
            assert app.query_one("#list", DataTable).has_focus
            await pilot.press("slash", *["backspace"] * 4, "q")
            await self.until(pilot, lambda: self.keys(app) == ["q"])
            assert app.query_one("#filter", Input).has_focus
            await pilot.press("escape")
            assert app.query_one("#list", DataTable).has_focus

        self.drive(store, steps)

    def test_a_daemon_that_is_away_is_told(self, store, daemon):
        """And when it is back, the screen goes on."""

        async def steps(app, pilot):
            await self.until(pilot, lambda: "sync" in self.text(app, "#state"))
            store.timeout = 0.2
            await asyncio.to_thread(daemon.stop)
            await self.until(pilot, lambda: "No daemon" in self.text(app, "#state"))
            store.timeout = 20
            await asyncio.to_thread(daemon.start)
            await self.until(pilot, lambda: "sync" in self.text(app, "#state"))

        self.drive(store, steps)


@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "Ctrl-C"])
def test_on_a_terminal_it_draws_and_quits(store, directory, key):
    """And leaves the terminal as it was."""
    store.create("job:1", "waiting")
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (40, 120))
    before = termios.tcgetattr(its)
    process = subprocess.Popen(
        [*KVCTL, "top", "--endpoint", store.endpoint],
        stdin=its,
        stdout=its,
        stderr=its,
        env=environment(directory, TERM="xterm-256color"),
        start_new_session=True,
    )
    drawn = b""
    while b"job:1" not in drawn or b"operations" not in drawn:
        drawn += os.read(ours, 65536)
    os.write(ours, key)
    os.set_blocking(ours, False)

    def has_ended():
        try:
            while os.read(ours, 65536):
                pass
        except BlockingIOError:
            pass
        return process.poll() is not None

    wait_until(has_ended)
    assert 0 == process.returncode
    assert before == termios.tcgetattr(its)
    os.close(ours)
    os.close(its)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_in_tmux_keys_are_filtered(store, directory):
    """What is drawn is what a person sees, also on a screen of 80 columns."""
    store.batch_create({"job:1": "waiting", "other": 1})
    command = shlex.join([*KVCTL, "top", "--endpoint", store.endpoint])
    tmux = ["tmux", "-S", str(directory / "tmux"), "-f", "/dev/null"]
    subprocess.run(
        [*tmux, "new-session", "-d", "-x", "80", "-y", "24", command], env=environment(directory), check=True
    )

    def screen():
        return subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=False).stdout

    try:
        wait_until(lambda: "other" in screen() and '"waiting"' in screen())
        subprocess.run([*tmux, "send-keys", "/"], check=True)
        subprocess.run([*tmux, "send-keys", "-l", "job"], check=True)
        wait_until(lambda: "│  job:1 " in screen() and "│  other " not in screen())
        subprocess.run([*tmux, "send-keys", "Enter"], check=True)
        subprocess.run([*tmux, "send-keys", "q"], check=True)
        wait_until(lambda: not screen())
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


def test_without_a_terminal_it_says_what_there_is(store, directory):
    """A usage error, and the command for programs."""
    done = kvctl("top", "--endpoint", store.endpoint, directory=directory)

    assert (2, "") == (done.returncode, done.stdout)
    assert "kvctl stats --json" in done.stderr


def test_it_ends_with_its_terminal(store, directory):
    """A process outside the session of the terminal gets no SIGHUP when it goes."""
    terminal = Terminal(directory, "top", "--endpoint", store.endpoint, columns=120, stdin=True)
    try:
        terminal.wait_for("operations")
        terminal.hang_up()

        terminal.process.wait(timeout=30)
    finally:
        terminal.close()


def test_without_textual_it_says_what_to_install(store, directory):
    """The rest of kvctl works without it."""
    program = (
        "import importlib.util as util; found = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'textual' else found(name, *more)\n"
        "from kvclient.cli import main; main()"
    )
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program, "top", "--endpoint", store.endpoint],
        stdin=its,
        stdout=its,
        stderr=subprocess.PIPE,
        env=environment(directory),
        text=True,
    )
    os.close(its)
    _, errors = process.communicate(timeout=60)
    os.close(ours)

    assert 1 == process.returncode
    assert errors.startswith(
        "kvctl: kvctl top needs the package textual, which is not installed: pip install 'kvd-store[top]'"
    )


def test_a_dumb_terminal_gets_a_sentence(directory, daemon):
    """It would be given commands that it does not know."""
    printed = Terminal(directory, "top", term="dumb", stdin=True, KVD_ENDPOINT=daemon.endpoint).end(2)

    assert "TERM is dumb. Try 'kvctl stats'." in printed
    assert "\x1b" not in printed
