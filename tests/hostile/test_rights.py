"""Rights: another user gets what an [[access]] table gives, and of everything else not a byte."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from kvclient import Client
from kvclient.contract.operations import OPERATIONS
from processes import Daemon, kvctl, wait_until
from users import as_user, ask_as

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="to be another user needs root")

STRANGER, READER, WRITER, BOTH, MIXED, MEMBER = range(64_010, 64_016)
GROUP = 64_020
READ = {"op": "exists", "key": "mine:1"}
GIVEN = {STRANGER: set(), READER: {"read"}, WRITER: {"write"}, BOTH: {"read", "write"}}
TABLES = [
    {"uid": READER, "read": ["mine:"]},
    {"uid": WRITER, "write": ["mine:"]},
    {"uid": BOTH, "read": ["mine:"], "write": ["mine:"]},
    {"uid": MIXED, "read": ["b:", "d:"]},
    {"uid": MIXED, "read": ["b:x", "a:1"], "write": ["d:"]},
    {"gid": GROUP, "read": ["group:"]},
]
SECRET = "TheSecretValue"
READABLE = ["a:1", *[f"a:1{n}" for n in range(10)], *[f"b:{n}" for n in range(30)], *[f"d:{n}" for n in range(30)]]


def fields(place):
    """What the fields of a request can be, so that it concerns keys of a place."""
    return {
        "key": f"{place}key",
        "keys": [f"{place}key"],
        "items": {f"{place}key": 1},
        "prefix": place,
        "value": 1,
        "ttl": 60,
        "operations": [{"op": "put", "key": f"{place}key", "value": 1}],
    }


def request(op, place):
    """Return a request of an operation with the fields that it has to have, and the keys that it concerns."""
    model = OPERATIONS[op]
    needed = {name for name, field in model.model_fields.items() if field.is_required()} - {"op"}
    needed |= {model.concerns} - {"nothing"}
    return {"op": op, **{name: fields(place)[name] for name in needed}}


@contextmanager
def serving(**settings):
    with tempfile.TemporaryDirectory(prefix="kvd-") as path:
        Path(path).chmod(0o755)
        daemon = Daemon(Path(path), shared_socket="true", access=json.dumps(TABLES), **settings).start()
        yield daemon
        daemon.kill()


@pytest.fixture(scope="module")
def shared():
    """A daemon that other users can reach; nobody stops it."""
    with serving() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def filled():
    """A daemon with keys in five places."""
    with serving() as daemon:
        with Client(daemon.endpoint) as owner:
            owner.batch_create({f"{letter}:{number}": SECRET for letter in "abcde" for number in range(30)})
        yield daemon


@pytest.fixture
def own(directory, start_daemon):
    """A daemon of the test's own, with its settings in a file; a function that writes them anew, and reloads them."""
    directory.chmod(0o755)
    config = directory / ".config" / "kvd" / "config.toml"
    config.parent.mkdir(parents=True)

    def write(text):
        config.write_text(text)

    write(f"shared_socket = true\n[[access]]\nuid = {BOTH}\nread = ['mine:']\nwrite = ['mine:']\n")
    daemon = start_daemon()
    daemon.write = write
    daemon.reload = lambda: daemon.process.send_signal(signal.SIGHUP)
    daemon.told = lambda text: wait_until(lambda: text in daemon.log.read_text())
    return daemon


def _is_open(connection):
    """Tell whether the daemon has not hung up."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return not poll.poll(0)


@pytest.mark.parametrize("op", OPERATIONS)
class TestEveryOperation:
    def test_is_refused_without_the_rights_that_it_declares(self, shared, op):
        """And carried out with them, whoever else is refused. What only the owner may do, nobody else does."""
        asked = request(op, "mine:")
        needs = {"write"} if op == "batch" else set(OPERATIONS[op].needs)  # those of its members
        for uid, given in GIVEN.items():
            (reply,) = ask_as(uid, shared, asked)

            allowed = given and needs <= given
            assert (reply.get("error") != "AccessDeniedError") == bool(allowed), (uid, reply)

    def test_tells_nothing_of_keys_without_a_right(self, shared, op):
        """The same is said whether they are there or not, and no value is in it."""
        asked = request(op, "secret:")
        with Client(shared.endpoint) as owner:
            for uid in GIVEN:
                owner.clear("secret:")
                (before,) = ask_as(uid, shared, asked)
                owner.put("secret:key", SECRET)
                (after,) = ask_as(uid, shared, asked)

                assert SECRET == owner.read("secret:key")
                assert before == after
                if op != "ping" or uid == STRANGER:
                    assert "AccessDeniedError" == after["error"]
                assert SECRET not in json.dumps(after)


class TestOwner:
    def test_needs_no_table(self, shared):
        """And may ask for everything, whatever tables there are."""
        with Client(shared.endpoint) as owner:
            owner.put("anything", 1)

            assert 1 == owner.read("anything")
            assert owner.stats()["keys"]

    def test_sees_who_is_there(self, shared):
        """`status` has uid and program of each process."""
        with Client(shared.endpoint) as owner:
            processes = owner.status()["processes"]

        (me,) = [process for process in processes if process["pid"] == os.getpid()]
        assert 0 == me["uid"]
        assert Path("/proc/self/comm").read_text().strip() == me["program"]


class TestGroup:
    @pytest.mark.parametrize("groups", [[GROUP], [1, GROUP, 2]])
    def test_a_supplementary_one_counts(self, shared, groups):
        """As the kernel tells it of the process that connected."""
        asked = {"op": "exists", "key": "group:1"}

        assert [{"ok": True, "exists": False}] == ask_as(MEMBER, shared, asked, groups=groups)
        assert "AccessDeniedError" == ask_as(MEMBER, shared, asked)[0]["error"]


class TestMessage:
    def test_names_the_key_the_right_and_the_user(self, shared):
        """And where it is written how that is changed."""
        (reply,) = ask_as(READER, shared, {"op": "put", "key": "mine:1", "value": SECRET})

        assert ["mine:1"] == reply["keys"]
        assert (
            f"Key 'mine:1' may not be changed by uid {READER}: the right 'write' is not given. The owner of the daemon "
            "can allow it by an [[access]] table in the settings (docs/rights.md)." == reply["message"]
        )

    def test_of_a_batch_says_which(self, shared):
        """Nothing of it is carried out."""
        put, delete = {"op": "put", "key": "mine:2", "value": 1}, {"op": "delete", "key": "other"}

        (reply,) = ask_as(BOTH, shared, {"op": "batch", "operations": [put, delete]})

        assert (1, ["other"]) == (reply["index"], reply["keys"])
        with Client(shared.endpoint) as owner:
            assert not owner.exists("mine:2")

    def test_a_batch_with_a_pop_needs_to_read(self, shared):
        """Each of its operations is looked at by itself."""
        pop = {"op": "batch", "operations": [{"op": "pop", "key": "mine:3"}]}

        assert "the right 'read'" in ask_as(WRITER, shared, pop)[0]["message"]
        assert "KeyNotFoundError" == ask_as(BOTH, shared, pop)[0]["error"]


class TestPrefix:
    @pytest.mark.parametrize("limit", [1, 7, 1000])
    def test_a_list_has_what_one_may_read(self, filled, limit):
        """On all its pages, and each key once; whoever reads the last page knows of no more."""

        def listed():
            with Client(filled.endpoint) as store:
                found, after, more = [], "", True
                while more:
                    reply = json.loads(filled.ask(json.dumps({"op": "list", "after": after, "limit": limit}).encode()))
                    found += [entry["key"] for entry in reply["entries"]]
                    after, more = found[-1], reply["more"]
                return [found, list(store.list()), store.count(), store.count("b"), list(store.list("d:1"))]

        found, by_client, count, count_of_b, of_d = json.loads(as_user(MIXED, lambda: json.dumps(listed())))

        assert sorted(READABLE) == found == by_client
        assert (71, 30) == (count, count_of_b)
        assert sorted(["d:1", *[f"d:1{n}" for n in range(10)]]) == of_d

    def test_a_clear_is_of_all_or_nothing(self, filled):
        """A wider prefix is refused, rather than cleared in part."""
        for prefix in ("", "d"):
            (refused,) = ask_as(MIXED, filled, {"op": "clear", "prefix": prefix})
            assert "AccessDeniedError" == refused["error"]
        with Client(filled.endpoint) as owner:
            assert 30 == owner.count("d:")


class TestWatch:
    def test_tells_of_keys_that_one_may_read(self, shared):
        """While it waits, from the ring, and from the file."""
        with Client(shared.endpoint) as owner:
            owner.put("watched", SECRET)
            before = owner.put("d:watched", 0)
            for number in range(3):
                owner.put("e:watched", SECRET)
                owner.put("d:watched", number)
            last = owner.put("c:watched", SECRET)
        waiting = subprocess.Popen(
            [sys.executable, "-c", WATCH, str(MIXED), shared.endpoint, str(last)], stdout=subprocess.PIPE, text=True
        )
        with Client(shared.endpoint) as owner:
            wait_until(lambda: owner.stats()["watchers"])
            owner.put("c:watched", SECRET)
            owner.put("b:watched", "at once")
            (first,) = json.loads(waiting.communicate(timeout=30)[0])["events"]
            (told,) = ask_as(MIXED, shared, {"op": "watch", "after": before})  # from the ring, as there is one now

        assert ("b:watched", "at once") == (first["key"], first["value"])
        assert ["d:watched"] * 3 + ["b:watched"] == [event["key"] for event in told["events"]]
        assert SECRET not in json.dumps(told)

    def test_of_the_past_comes_from_the_file(self):
        """Where nobody has watched yet."""
        with serving() as daemon:
            with Client(daemon.endpoint) as owner:
                for key in ("a:1", "a:2", "b:1", "c:1", "d:1", "e:1"):
                    owner.put(key, SECRET)
            (told,) = ask_as(MIXED, daemon, {"op": "watch", "after": 0})

        assert ["a:1", "b:1", "d:1"] == [event["key"] for event in told["events"]]


class TestRepetition:
    def test_of_another_s_request_tells_nothing(self, shared):
        """An id counts for one user: who guesses another's learns nothing, and spoils nothing."""
        with Client(shared.endpoint) as owner:
            owner.put("secret:popped", SECRET)
        pop = {"op": "pop", "key": "secret:popped", "id": "victim:1"}
        assert SECRET == json.loads(shared.ask(json.dumps(pop).encode()))["value"]

        (told,) = ask_as(BOTH, shared, {**pop, "key": "mine:popped"})

        assert "KeyNotFoundError" == told["error"]
        assert SECRET == json.loads(shared.ask(json.dumps(pop).encode()))["value"]

    def test_of_one_s_own_is_answered_as_before(self, shared):
        """From another connection, too."""
        increment = {"op": "increment", "key": "mine:counted", "id": "worker:1"}

        replies = [ask_as(BOTH, shared, increment)[0] for _ in range(2)]

        assert replies[0] == replies[1]
        assert 1 == replies[0]["value"]


class TestStranger:
    def test_cannot_hold_memory(self, shared):
        """A large request is refused by its first bytes, with what is refused to everybody without rights."""
        large = {"op": "create", "key": "mine:large", "value": "x" * 100_000}

        (reply,) = ask_as(STRANGER, shared, large)

        assert "AccessDeniedError" == reply["error"]
        assert f"Nothing may be read by uid {STRANGER}" in reply["message"]

    @pytest.mark.parametrize("op", ["read_many", "delete_many", "batch", "batch_create"])
    def test_is_not_even_told_the_revision(self, shared, op):
        """Which a request that concerns no key at all would be answered with."""
        concerned = OPERATIONS[op].concerns
        (reply,) = ask_as(STRANGER, shared, {"op": op, concerned: {} if concerned == "items" else []})

        assert "AccessDeniedError" == reply["error"]

    @pytest.mark.native("of who has sent nothing libzmq tells nothing")
    def test_cannot_hold_many_connections(self, shared):
        """Only so many wait for what they will not get; the owner has as many as ever."""

        def connect():
            connections = [shared.raw() for _ in range(400)]
            wait_until(lambda: sum(map(_is_open, connections)) <= 256)
            return sum(map(_is_open, connections))

        assert 256 >= int(as_user(STRANGER, connect))
        with Client(shared.endpoint) as owner:
            assert owner.put("anything", 1)
            wait_until(lambda: owner.status()["peers"] < 250)


class TestReload:
    def test_gives_and_takes_rights_of_those_connected(self, own):
        """At once: the connection stays, and what waits on it is answered."""
        waiting = subprocess.Popen(
            [sys.executable, "-c", WATCH, str(BOTH), own.endpoint, "0", "again"], stdout=subprocess.PIPE, text=True
        )
        with Client(own.endpoint) as owner:
            wait_until(lambda: owner.stats()["watchers"])
            own.write(f"shared_socket = true\n[[access]]\nuid = {STRANGER}\nread = ['mine:']\n")
            assert ["access"] == owner.status()["reload_needed"]
            own.reload()
            first, second = map(json.loads, waiting.communicate(timeout=30)[0].splitlines())

            assert [] == first["events"]
            assert "AccessDeniedError" == second["error"]
            assert {"ok": True, "exists": False} == ask_as(STRANGER, own, READ)[0]
            assert not owner.status().keys() & {"reload_needed", "restart_needed", "settings_error"}

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("what is this", "cannot be read"),
            ("[[access]]\nuid = 1\n", "it gives no right"),
            ("[[access]]\nuid = 1\ngid = 1\nread = ['']\n", "exactly one of uid, gid, unit, key"),
        ],
    )
    def test_of_a_file_with_a_mistake_changes_nothing(self, own, text, told):
        """It is logged, and `status` says it."""
        own.write(text)
        own.reload()
        own.told("the old ones stay in force")

        assert {"ok": True, "exists": False} == ask_as(BOTH, own, READ)[0]
        done = kvctl("status", "--json", "--endpoint", own.endpoint, directory=own.directory)
        assert told in json.loads(done.stdout)["settings_error"]
        assert told in own.log.read_text()

    def test_says_what_waits_for_a_restart(self, own):
        """And applies the rest."""
        own.write("shared_socket = true\nmax_batch = 7\n[[access]]\nuid = 1\nread = ['']\n")
        own.reload()
        own.told("what was changed of max_batch counts from the next start on")

        with Client(own.endpoint) as owner:
            assert {"max_batch": 7} == owner.status()["restart_needed"]
        assert "AccessDeniedError" == ask_as(BOTH, own, READ)[0]["error"]


class TestSharedSocket:
    @pytest.mark.parametrize(
        ("endpoint", "access", "told"),
        [
            (None, True, "needs an endpoint of its own"),
            ("tcp://127.0.0.1:7411", True, "is for ipc:// endpoints"),
            ("ipc://{}/x.sock", False, "needs [[access]] tables"),
            ("ipc://{}/closed/x.sock", True, "'chmod o+x {}/closed'"),
        ],
    )
    def test_is_refused_where_it_cannot_be(self, directory, endpoint, access, told):
        """One line that says what to do."""
        directory.chmod(0o755)
        (directory / "closed").mkdir(mode=0o700)
        variables = {"KVD_SHARED_SOCKET": "true"} | ({"KVD_ACCESS": '[{"uid": 1, "read": [""]}]'} if access else {})
        options = [] if endpoint is None else ["--endpoint", endpoint.format(directory)]

        done = subprocess.run(
            [sys.executable, "-m", "kvd", *options],
            env={**os.environ, "HOME": str(directory), "XDG_RUNTIME_DIR": str(directory / "closed"), **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

        assert 1 == done.returncode
        assert told.format(directory) in done.stderr
        assert 1 == done.stderr.count("\n")

    def test_others_can_connect_to_it_and_nobody_to_any_other(self, shared, daemon):
        """Mode 0666 against 0600."""
        assert 0o666 == os.stat(shared.endpoint.removeprefix("ipc://")).st_mode & 0o777
        assert 0o600 == os.stat(daemon.endpoint.removeprefix("ipc://")).st_mode & 0o777

    def test_who_forces_the_way_to_another_is_refused_all_the_same(self, daemon):
        """It is looked at who connects, and not only at modes."""
        daemon.directory.chmod(0o755)
        os.chmod(daemon.endpoint.removeprefix("ipc://"), 0o666)

        assert "AccessDeniedError" == ask_as(STRANGER, daemon, {"op": "ping"})[0]["error"]


class TestPlainTcp:
    def test_may_do_everything_only_where_nothing_is_said_of_rights(self, directory):
        """Nobody knows who that is, so no table can be theirs."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        daemon = Daemon(directory, access=json.dumps(TABLES), insecure_tcp="true")
        daemon.endpoint = f"tcp://127.0.0.1:{port}"
        try:
            daemon.launch()
            wait_until(lambda: "serving" in daemon.log.read_text())

            assert "AccessDeniedError" == json.loads(daemon.ask(b'{"op":"ping"}'))["error"]
        finally:
            daemon.kill()


WATCH = """
import json, os, sys, zmq
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
asking = zmq.Context().socket(zmq.REQ)
asking.connect(sys.argv[2])
for _ in sys.argv[3:]:
    asking.send_json({"op": "watch", "after": int(sys.argv[3]), "wait": 60})
    print(asking.recv().decode(), flush=True)
"""
