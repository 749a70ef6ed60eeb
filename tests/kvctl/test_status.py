"""What `kvctl status` and `kvctl ping` say when not all is as it looks: refused writes, settings that do not count."""

import asyncio
import itertools
import json
import os
from contextlib import suppress

import pytest

from kvclient import AsyncClient, Client, StoreFullError
from processes import environment, kvctl, wait_until


@pytest.fixture
def run(directory, daemon):
    """Run kvctl with the daemon of this test."""

    def run(*arguments, **variables):
        return kvctl(*arguments, "--endpoint", daemon.endpoint, directory=directory, **variables)

    return run


class TestRefusedWrites:
    @pytest.fixture
    def refusing(self, daemon):
        """A daemon whose file another program has edited."""
        with Client(daemon.endpoint) as store:
            store.create("key1", 1)
            daemon.file.write_bytes(daemon.file.read_bytes().replace(b'"value":1', b'"value":2'))
            wait_until(lambda: "refusing" in store.status())
        return daemon

    def test_status_says_so_first_and_exits_1(self, run, refusing):
        """With the reason, which names the file and what to do."""
        done = run("status")
        as_json = run("status", "--json")

        assert (1, 1) == (done.returncode, as_json.returncode)
        first = done.stdout.splitlines()[0]
        assert first.startswith("REFUSING  all writes: ")
        assert str(refusing.file) in first
        assert "Put the right file in place and restart the daemon." in first
        assert json.loads(as_json.stdout)["refusing"] in first

    def test_ping_says_so_and_exits_0(self, run, refusing):
        """The daemon answers, which is what was asked; the rest is told on standard error."""
        done = run("ping")
        as_json = run("ping", "--json")

        assert (0, "", 0) == (done.returncode, done.stdout, as_json.returncode)
        assert "kvctl: Writes are refused. " in done.stderr
        assert str(refusing.file) in json.loads(as_json.stdout)["refusing"]

    def test_on_the_wire(self, refusing):
        """The replies to both have the field `refusing`; they do not where all is well."""
        for op, place in ((b"ping", lambda reply: reply), (b"status", lambda reply: reply["status"])):
            assert "Put the right file" in place(json.loads(refusing.ask(b'{"op":"%s"}' % op)))["refusing"]

    async def _ping(self, endpoint):
        async with AsyncClient(endpoint) as store:
            return await store.ping()

    def test_in_python(self, refusing, shared_daemon):
        """`ping` returns the reason, None where all is well."""
        for endpoint, is_fine in ((refusing.endpoint, False), (shared_daemon.endpoint, True)):
            with Client(endpoint) as store:
                assert is_fine == (store.ping() is None)
            assert is_fine == (asyncio.run(self._ping(endpoint)) is None)

    def test_all_is_well(self, run, daemon):
        """Nothing is said, and the exit code is 0."""
        done = run("status")

        assert (0, "") == (done.returncode, done.stderr)
        assert "REFUSING" not in done.stdout
        assert "restart" not in done.stdout
        assert b'{"ok":true}' == daemon.ask(b'{"op":"ping"}')
        assert "refusing" not in json.loads(daemon.ask(b'{"op":"status"}'))["status"]


class TestReady:
    def test_a_daemon_that_takes_values(self, run):
        """Exit code 0, and no word but how fast it answers."""
        done = run("ping", "--ready")

        assert (0, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
        assert json.loads(run("ping", "--ready", "--json").stdout)["ready"] is True
        assert "ready" not in json.loads(run("ping", "--json").stdout)

    def test_a_file_that_another_program_edited(self, run, daemon):
        """Exit code 1 and the reason, while a plain ping still exits with 0."""
        with Client(daemon.endpoint) as store:
            store.create("key1", 1)
            daemon.file.write_bytes(daemon.file.read_bytes().replace(b'"value":1', b'"value":2'))
            wait_until(lambda: "refusing" in store.status())
        done = run("ping", "--ready")

        assert (1, 0) == (done.returncode, run("ping").returncode)
        assert json.loads(run("ping", "--ready", "--json").stdout)["ready"] is False
        assert f"kvctl: Writes are refused. The data file {daemon.file}" in done.stderr

    def test_a_full_file(self, start_daemon, directory):
        """Exit code 1, and what to do; once a key was deleted, a compaction would make room, and it is ready."""
        daemon = start_daemon(max_file_bytes="8192", sync="never")
        ready = lambda: kvctl("ping", "--ready", "--endpoint", daemon.endpoint, directory=directory)  # noqa: E731
        numbers = itertools.count()
        with Client(daemon.endpoint) as store:
            store.create("large", "x" * 1000)

            def fill():
                with suppress(StoreFullError):
                    while True:
                        store.create(f"key{next(numbers)}", "x")
                store.compact()  # which may find some more room
                wait_until(lambda: not store.status()["compacting"])
                return store.status()["full"]

            wait_until(fill)
            full = ready()
            assert 1 == full.returncode
            assert f"The data file {daemon.file} is full: it has " in full.stderr
            assert "Delete keys, or raise the limit" in full.stderr

            store.delete("large")
        assert 0 == ready().returncode

    def test_a_daemon_that_is_not_there(self, directory):
        """Exit code 6, and none is started."""
        done = kvctl("ping", "--ready", "--timeout", "0.1", directory=directory)

        assert 6 == done.returncode
        assert [] == list(directory.glob("run/kvd/*.sock"))

    def test_one_that_does_not_answer(self, daemon, run):
        """Exit code 6 within the timeout."""
        daemon.freeze()

        assert 6 == run("ping", "--ready", "--timeout", "0.2").returncode


class TestLimits:
    def test_those_in_force_are_shown(self, start_daemon, directory):
        """All of them, whoever set them."""
        daemon = start_daemon(max_key_length="40", max_batch="7")
        expected = {
            "max_key_length": 40,
            "max_value_bytes": 1 << 20,
            "max_request_bytes": 16 << 20,
            "max_batch": 7,
            "max_file_bytes": 1 << 30,
        }
        shown = kvctl("status", "--endpoint", daemon.endpoint, directory=directory).stdout

        for name, value in expected.items():
            assert f"{name} {value}" in shown
        with Client(daemon.endpoint) as store:
            assert expected == store.status()["limits"]


class TestRestart:
    @pytest.fixture
    def config(self, directory):
        """The settings file."""
        config = directory / ".config" / "kvd" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text("max_batch = 20\nmax_key_length = 30\n")
        return config

    def test_a_setting_that_was_changed(self, config, start_daemon, directory):
        """Each that differs is told with the value after a restart; what the command line says stays as it is."""
        daemon = start_daemon("--sync", "never")
        run = lambda *arguments: kvctl("status", *arguments, "--endpoint", daemon.endpoint, directory=directory)  # noqa: E731
        assert "restart" not in run().stdout

        config.write_text('max_batch = 50\nsync = "interval"\nmax_value_bytes = 1048576\n')

        done = run()
        assert 0 == done.returncode
        assert "restart   needed for max_key_length = 256\nrestart   needed for max_batch = 50\n" in done.stdout
        changed = json.loads(run("--json").stdout)
        assert {"max_batch": 50, "max_key_length": 256} == changed["restart_needed"]
        assert (20, 30) == (changed["limits"]["max_batch"], changed["limits"]["max_key_length"])

        config.write_text("max_batch = 20\nmax_key_length = 30\n")
        assert "restart" not in run().stdout

    def test_settings_that_would_not_let_it_start(self, config, daemon, directory):
        """That is told before somebody restarts it."""
        config.write_text("max_batch = 0\n")

        done = kvctl("status", "--endpoint", daemon.endpoint, directory=directory)

        assert 0 == done.returncode
        assert "restart   would fail: Setting max_batch = 0 is invalid" in done.stdout

    def test_after_it_there_is_nothing_to_tell(self, config, daemon, directory):
        """The new value is in force."""
        config.write_text("max_batch = 50\n")
        daemon.stop()
        daemon.start()

        shown = kvctl("status", "--endpoint", daemon.endpoint, directory=directory).stdout
        assert "restart" not in shown
        assert "max_batch 50" in shown


class TestVariablesWithoutEffect:
    def test_status_tells_of_them(self, run):
        """Each that says something else than the daemon does, with what is in force."""
        done = run("status", KVD_MAX_VALUE_BYTES="65536", KVD_SYNC="always", KVD_COMPACT_SHARE="0.9", KVD_STORE="work")

        assert 0 == done.returncode
        assert 2 == done.stderr.count("has no effect on the daemon that runs")
        assert "KVD_MAX_VALUE_BYTES=65536 in this environment has no effect" in done.stderr
        assert "max_value_bytes 1048576 is in force" in done.stderr
        assert "KVD_COMPACT_SHARE=0.9 in this environment" in done.stderr

    @pytest.mark.parametrize("name", ["FILE", "MAX_BATCH", "SYNC"])
    def test_those_that_are_in_force_are_nothing_to_tell(self, run, daemon, name):
        """The daemon was started with them."""
        value = {"FILE": str(daemon.file), "MAX_BATCH": "10000", "SYNC": "always"}[name]

        assert "" == run("status", **{f"KVD_{name}": value}).stderr

    def test_a_refusal_for_the_limit_tells_of_it(self, run):
        """Whoever sets KVD_MAX_KEY_LENGTH for kvctl expects a longer key to be taken."""
        refused = run("create", "k" * 300, "1", KVD_MAX_KEY_LENGTH="500")
        other = run("create", "k" * 300, "1", KVD_MAX_BATCH="500")

        assert (5, 5) == (refused.returncode, other.returncode)
        assert "KVD_MAX_KEY_LENGTH=500 in this environment has no effect on the daemon" in refused.stderr
        assert 1 == other.stderr.count("\n")


class TestMissingStore:
    @pytest.fixture
    def home(self, directory):
        """A home with two stores, one of which has a daemon, beside a file that is none of kvd's."""
        for store in ("data_store", "work"):
            assert 0 == kvctl("create", "key1", "1", "--store", store, directory=directory).returncode
        kvctl("stop", "--store", "work", directory=directory)
        (directory / "Documents" / "letters.json").write_text('{"dear": "diary"}')
        yield directory
        for socket in directory.glob("run/kvd/*.sock"):
            kvctl("stop", "--endpoint", f"ipc://{socket}", directory=directory)

    @pytest.mark.parametrize("command", [("read", "key1"), ("compact",)], ids=" ".join)
    def test_a_mistyped_name_creates_nothing(self, home, command):
        """Exit code 6 at once, the stores there are, and neither a file nor a daemon afterwards."""
        done = kvctl(*command, "--store", "wrok", "--timeout", "60", directory=home)

        assert (6, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
        assert "There is no store 'wrok'" in done.stderr
        assert f"no file {home}/Documents/wrok.json" in done.stderr
        assert "Existing stores: data_store, work." in done.stderr
        assert not (home / "Documents" / "wrok.json").exists()
        assert ["data_store.sock"] == [path.name for path in home.glob("run/kvd/*.sock")]

    def test_a_store_that_is_there_is_read(self, home):
        """Also where no daemon runs."""
        assert "1\n" == kvctl("read", "key1", "--store", "work", directory=home).stdout

    def test_where_there_is_none_at_all(self, directory):
        """It says so, and how one comes to be."""
        done = kvctl("read", "key1", directory=directory)

        assert 6 == done.returncode
        assert "There are no stores yet. Creating a key creates its store." in done.stderr
        assert [] == os.listdir(environment(directory)["XDG_RUNTIME_DIR"])
        assert not (directory / "Documents").exists()

    def test_the_file_that_the_settings_name_counts(self, home):
        """A store whose data file is elsewhere is there too."""
        own = home / "own.json"
        (home / "Documents" / "work.json").rename(own)

        assert 6 == kvctl("read", "key1", "--store", "work", directory=home).returncode
        assert "1\n" == kvctl("read", "key1", directory=home, KVD_STORE="work", KVD_FILE=str(own)).stdout


@pytest.mark.parametrize(
    ("options", "variables", "command"),
    [
        ((), {}, "kvd"),
        (("--store", "work"), {}, "kvd --store work"),
        (("--endpoint", "ipc:///tmp/a b.sock"), {}, "kvd --endpoint 'ipc:///tmp/a b.sock'"),
        ((), {"KVD_STORE": "work"}, "kvd"),
        ((), {"KVD_ENDPOINT": "ipc:///tmp/none.sock"}, "kvd"),
    ],
)
def test_the_hint_is_the_command_that_starts_what_was_asked(directory, options, variables, command):
    """In the environment in which it was asked."""
    done = kvctl("ping", *options, "--timeout", "0.1", directory=directory, **variables)

    assert 6 == done.returncode
    assert done.stderr.endswith(f". Start one with '{command}'.\n")


def test_status_of_a_mistyped_store_lists_those_there_are(directory):
    """Commands that start no daemon say it too."""
    (directory / "Documents").mkdir()
    (directory / "Documents" / "work.json").write_text('{"":{"format":1,"kvd":"0.1"}\n}')
    done = kvctl("status", "--store", "wrok", "--timeout", "0.1", directory=directory)

    assert (6, "") == (done.returncode, done.stdout)
    assert "There is no store 'wrok'. Existing stores: work. Start one with 'kvd --store wrok'." in done.stderr


def test_stats_have_the_colours_of_status(open_terminal):
    """On a terminal; in a pipe there is none."""
    for command in ("status", "stats"):
        assert "\x1b[36mkeys " in open_terminal(command).end()
