"""An ephemeral key lives exactly as long as its process, whatever becomes of daemon, connections and pids."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kvd import LocalDataStore
from processes import Daemon, wait_until
from stores import as_others_read
from wire_line import WireLine

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
NOBODY = 65534
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do this to processes")


class Process:
    """A process that owns keys, and does as it is told."""

    def __init__(self, endpoint, *prefix):
        self._process = subprocess.Popen(
            [*prefix, sys.executable, str(Path(__file__).with_name("owner.py")), endpoint],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        )
        self.pid = self._process.pid

    def ask(self, **request):
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def own(self, key, value=1, **more):
        """Put an ephemeral key."""
        reply = self.ask(op="put", key=key, value=value, **{"ephemeral": True, **more})
        assert reply["ok"], reply
        return reply["revision"]

    def signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


@pytest.fixture
def start(request):
    """Start processes that own keys, which are killed with the test."""

    def start(daemon, *prefix):
        process = Process(daemon.endpoint, *prefix)
        request.addfinalizer(process.kill)
        return process

    return start


@pytest.fixture
def sleeper(request):
    """Start processes that only live."""

    def sleeper(*prefix):
        process = subprocess.Popen([*prefix, "sleep", "3600"])

        def end():
            process.kill()
            process.wait()

        request.addfinalizer(end)
        process.end = end
        return process

    return sleeper


def ask(daemon, **request):
    return json.loads(daemon.ask(json.dumps(request).encode()))


def entry(daemon, key):
    return ask(daemon, op="read", key=key)


def exists(daemon, key):
    return ask(daemon, op="exists", key=key)["exists"]


def is_gone(daemon, key):
    wait_until(lambda: not exists(daemon, key))
    return True


def assert_stays(daemon, key):
    """See that a key is there, and will be: what the daemon does by itself it has done when others' keys are gone."""
    with subprocess.Popen(["sleep", "3600"]) as other:
        assert ask(daemon, op="put", key="other", value=1, ephemeral=other.pid)["ok"]
        other.kill()
    is_gone(daemon, "other")
    assert exists(daemon, key)


def test_it_goes_with_its_process(daemon, start):
    """A parked watcher is told at once that it was released, and what it was."""
    owner = start(daemon)
    revision = owner.own("key1", {"by": "me"})
    assert {"pid": owner.pid, "uid": os.getuid()} == entry(daemon, "key1")["owner"]

    with WireLine(daemon.endpoint) as line:
        line.send({"op": "watch", "after": revision, "wait": 60})
        wait_until(lambda: ask(daemon, op="stats")["stats"]["watchers"])
        started = time.monotonic()
        owner.kill()
        reply = json.loads(line.receive())
        print(f"told {1000 * (time.monotonic() - started):.1f} ms after its end")

    (event,) = reply["events"]
    del event["time"]
    assert {"kind": "released", "key": "key1", "previous": {"by": "me"}, "revision": revision + 1} == event
    assert not exists(daemon, "key1")
    assert 1 == ask(daemon, op="stats")["stats"]["released"]


def test_it_lives_while_its_process_lives(daemon, start):
    """A process that is stopped, that hangs up, or whose daemon dies, keeps its key until it is dead itself."""
    owner = start(daemon)
    owner.own("key1")
    owner.ask(do="close")
    owner.signal(signal.SIGSTOP)
    assert_stays(daemon, "key1")
    daemon.kill()
    daemon.start()
    assert_stays(daemon, "key1")
    assert owner.pid == entry(daemon, "key1")["owner"]["pid"]

    owner.kill()

    assert is_gone(daemon, "key1")


@pytest.mark.parametrize("ended", [signal.SIGKILL, signal.SIGTERM])
def test_it_goes_if_its_process_died_while_no_daemon_ran(daemon, start, ended):
    """The next daemon looks, and tells a watcher that resumes."""
    owner, other = start(daemon), start(daemon)
    revision = owner.own("key1", "was mine")
    other.own("key2")
    daemon.stop(ended)
    owner.kill()

    daemon.start()

    assert is_gone(daemon, "key1")
    (event,) = ask(daemon, op="watch", prefix="key1", after=revision)["events"]
    assert ("released", "was mine") == (event["kind"], event["previous"])
    assert exists(daemon, "key2")


@is_root
def test_it_goes_though_its_pid_is_in_use_again(daemon, start):
    """The start time tells the new process from the old one, which ended while no daemon ran."""
    owner = start(daemon)
    owner.own("key1")
    daemon.kill()
    owner.kill()
    other = _with_pid(owner.pid)
    try:
        daemon.start()

        assert is_gone(daemon, "key1")
        assert ask(daemon, op="put", key="key1", value=2, ephemeral=other.pid)["ok"]
        assert_stays(daemon, "key1")
    finally:
        other.kill()
        other.wait()


def _with_pid(pid):
    """Return a process that has got this pid; others of the machine may be quicker now and then."""
    for _ in range(1000):
        try:
            LAST_PID.write_text(str(pid - 1))
        except OSError:
            pytest.skip("pids cannot be chosen here")
        process = subprocess.Popen(["sleep", "3600"])
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
    pytest.skip("others are always quicker")


def locks(daemon):
    """Return the keys of `lock_all` that are left, without a request, which would make the daemon look around."""
    return [key for key in as_others_read(daemon.file) if key.startswith("lock")]


def lock_all(daemon, owners):
    for number, owner in enumerate(owners):
        assert ask(daemon, op="put", key=f"lock{number}", value=1, ephemeral=owner.pid)["ok"]
    assert len(owners) == len(locks(daemon))


def test_many_processes_that_die_at_once_leave_nothing(daemon, sleeper):
    """None of a hundred keys waits for the others, nor for a request to come."""
    owners = [sleeper() for _ in range(100)]
    lock_all(daemon, owners)

    for owner in owners:
        owner.kill()

    wait_until(lambda: not locks(daemon), seconds=10)


def test_many_processes_that_died_while_no_daemon_ran_leave_nothing(daemon, sleeper):
    """As above, when the daemon only starts afterwards."""
    owners = [sleeper() for _ in range(100)]
    lock_all(daemon, owners)
    daemon.kill()
    for owner in owners:
        owner.end()

    daemon.start()

    wait_until(lambda: not locks(daemon), seconds=10)


def test_more_processes_than_descriptors(directory, start, sleeper):
    """A daemon that has none left to watch a process looks after it by itself."""
    daemon = Daemon(directory, prefix=("prlimit", "--nofile=48:48")).start()
    try:
        asker, owners = start(daemon), [sleeper() for _ in range(60)]
        for number, owner in enumerate(owners):
            assert asker.ask(op="put", key=f"key{number}", value=1, ephemeral=owner.pid)["ok"]
        assert 60 == asker.ask(op="count")["count"]

        for owner in owners:
            owner.end()

        wait_until(lambda: asker.ask(op="count")["count"] == 0)
    finally:
        daemon.kill()


@pytest.mark.native("libzmq aborts when it cannot accept on a Unix socket")
def test_with_no_descriptor_at_all_it_is_refused(directory, start):
    """Where connections have taken them all the error says so, and the daemon serves on."""
    daemon = Daemon(directory, prefix=("prlimit", "--nofile=48:48")).start()
    asker = start(daemon)
    asker.ask(op="ping")
    crowd = [daemon.raw() for _ in range(60)]
    try:
        wait_until(lambda: len(os.listdir(f"/proc/{daemon.process.pid}/fd")) == 48)
        reply = asker.ask(op="put", key="key1", value=1, ephemeral=True)
        plain = asker.ask(op="put", key="key2", value=1)
    finally:
        for connection in crowd:
            connection.close()
    try:
        assert "Too many open files. Try again later." in reply["message"]
        assert plain["ok"]
        wait_until(lambda: asker.ask(op="put", key="key1", value=1, ephemeral=True)["ok"])
    finally:
        daemon.kill()


def test_a_thread_is_its_process(daemon, start):
    """A key that a thread made outlives the thread."""
    owner = start(daemon)
    owner.ask(do="thread", op="put", key="key1", value=1, ephemeral=True)
    assert_stays(daemon, "key1")

    owner.kill()

    assert is_gone(daemon, "key1")


def test_a_child_does_not_hold_its_parents_key(daemon, start):
    """Though it has inherited the connection."""
    owner = start(daemon)
    owner.own("key1")
    child = owner.ask(do="child")["pid"]
    try:
        owner.kill()

        assert is_gone(daemon, "key1")
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_childs_key_is_its_own(daemon, start):
    """Made over its own connection it goes with the child, and stays when the parent goes."""
    owner = start(daemon)
    child = owner.ask(do="child", op="put", key="key1", value=1, ephemeral=True)["pid"]
    assert child == entry(daemon, "key1")["owner"]["pid"]
    owner.kill()
    assert_stays(daemon, "key1")

    os.kill(child, signal.SIGKILL)

    assert is_gone(daemon, "key1")


def test_a_request_of_a_process_that_is_dead_makes_no_key_that_stays(daemon, start):
    """The daemon hears of both at once, the request and the end of who sent it, and is as it was."""
    owner = start(daemon)
    revision = owner.own("before")
    daemon.freeze()
    assert {} == owner.ask(do="send", op="put", key="key1", value=1, ephemeral=True)
    owner.kill()

    daemon.process.send_signal(signal.SIGCONT)

    assert is_gone(daemon, "before")
    assert not exists(daemon, "key1")
    events = ask(daemon, op="watch", after=revision)["events"]
    assert [("released", "before")] == [(event["kind"], event["key"]) for event in events]


@pytest.mark.native("libzmq forgets what a peer said that has hung up")
def test_a_request_of_a_process_that_hung_up_is_carried_out(daemon, start):
    """Who lost a line, and asks again over another, is answered as the first time."""
    owner = start(daemon)
    owner.own("before")
    daemon.freeze()
    request = {"op": "put", "key": "key1", "value": 1, "ephemeral": True, "id": "owner:1"}
    owner.ask(do="send", **request)
    owner.ask(do="close")

    daemon.process.send_signal(signal.SIGCONT)

    wait_until(lambda: exists(daemon, "key1"))
    assert owner.pid == entry(daemon, "key1")["owner"]["pid"]
    assert entry(daemon, "key1")["revision"] == owner.ask(**request)["revision"]


# Another process.


def test_a_key_can_be_bound_to_another_process_of_the_user(daemon, sleeper):
    """By its pid; it need not know."""
    other = sleeper()
    assert ask(daemon, op="create", key="key1", value=1, ephemeral=other.pid)["ok"]
    assert other.pid == entry(daemon, "key1")["owner"]["pid"]
    assert_stays(daemon, "key1")

    other.end()

    assert is_gone(daemon, "key1")


@is_root
def test_a_key_cannot_be_bound_to_another_users_process(daemon, sleeper):
    """InvalidValueError says whose it is."""
    other = sleeper("setpriv", f"--reuid={NOBODY}", "--clear-groups")
    status = Path(f"/proc/{other.pid}/status")
    wait_until(lambda: f"Uid:\t{NOBODY}" in status.read_text())

    reply = ask(daemon, op="put", key="key1", value=1, ephemeral=other.pid)

    assert "InvalidValueError" == reply["error"]
    assert f"process {other.pid}" in reply["message"]
    assert f"uid {NOBODY}" in reply["message"]
    assert not exists(daemon, "key1")


def test_a_key_cannot_be_bound_to_no_process(daemon, sleeper):
    """Neither to one that has ended, nor to one that there cannot be."""
    ended = sleeper()
    ended.end()

    for pid in (ended.pid, 2**30, 0, -1):
        reply = ask(daemon, op="put", key="key1", value=1, ephemeral=pid)
        assert "InvalidValueError" == reply["error"]
        assert str(pid) in reply["message"]
    assert not exists(daemon, "key1")


# Where the kernel cannot tell.


def test_over_tcp_it_is_refused(directory):
    """InvalidValueError gives the reason, and plain keys are taken."""
    daemon = Daemon(directory, insecure_tcp="true")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        daemon.endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    daemon.start()
    try:
        for ephemeral in (True, os.getpid()):
            reply = ask(daemon, op="put", key="key1", value=1, ephemeral=ephemeral)
            assert "InvalidValueError" == reply["error"]
            assert "TCP" in reply["message"]
        assert ask(daemon, op="put", key="key1", value=1)["ok"]
    finally:
        daemon.kill()


@is_root
def test_from_outside_the_daemons_pid_namespace_it_is_refused(directory):
    """The daemon's kernel has no pid for such a process; InvalidValueError says so."""
    daemon = Daemon(directory, prefix=("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"))
    daemon.start()
    try:
        for ephemeral in (True, os.getpid()):
            reply = ask(daemon, op="put", key="key1", value=1, ephemeral=ephemeral)
            assert "InvalidValueError" == reply["error"]
            assert "pid namespace" in reply["message"]
        assert ask(daemon, op="put", key="key1", value=1)["ok"]
    finally:
        daemon.kill()


@is_root
def test_from_a_namespace_below_the_daemons_only_the_asker_can_be_bound_to(daemon, start):
    """The kernel knows who asks, but a pid that such a process names is one of another namespace."""
    inside = start(daemon, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    inside.own("key1")
    named = inside.ask(op="put", key="key2", value=1, ephemeral=1)
    assert_stays(daemon, "key1")

    inside.kill()

    assert "InvalidValueError" == named["error"]
    assert "pid namespace" in named["message"]
    assert is_gone(daemon, "key1")


# What becomes of the bond.


def test_a_key_that_is_written_without_ephemeral_is_bound_no_more(daemon, start):
    """It outlives the process."""
    owner = start(daemon)
    for key in ("put", "update", "other"):
        owner.own(key)
    for op in ("put", "update"):
        assert owner.ask(op=op, key=op, value=2)["ok"]

    owner.kill()

    assert is_gone(daemon, "other")
    assert "owner" not in entry(daemon, "put")
    assert "owner" not in entry(daemon, "update")


def test_increment_and_expire_leave_the_bond(daemon, start):
    """Whoever does it."""
    owner = start(daemon)
    owner.own("count", 1)
    owner.own("brief", 1)
    assert 2 == ask(daemon, op="increment", key="count")["value"]
    assert ask(daemon, op="expire", key="brief", ttl=1000)["ok"]
    assert ask(daemon, op="batch", operations=[{"op": "increment", "key": "count"}])["ok"]
    daemon.kill()
    daemon.start()
    assert owner.pid == entry(daemon, "count")["owner"]["pid"]
    assert owner.pid == entry(daemon, "brief")["owner"]["pid"]

    owner.kill()

    assert is_gone(daemon, "count")
    assert is_gone(daemon, "brief")


def test_a_key_can_pass_to_another_process(daemon, start):
    """The last one that wrote it is the one that it lives as long as."""
    first, second = start(daemon), start(daemon)
    first.own("key1", 1)
    first.own("other")
    second.own("key1", 2)

    first.kill()
    assert is_gone(daemon, "other")

    assert second.pid == entry(daemon, "key1")["owner"]["pid"]
    second.kill()
    assert is_gone(daemon, "key1")


def test_it_expires_before_its_process_ends(daemon, start):
    """Whichever comes first."""
    owner = start(daemon)
    revision = owner.own("key1", 1, ttl=0.01)

    assert is_gone(daemon, "key1")
    events = wait_until(lambda: ask(daemon, op="watch", after=revision)["events"])
    assert ["expired"] == [event["kind"] for event in events]


def test_bonds_survive_a_compaction(daemon, start):
    """They are carried over to the new file."""
    owner = start(daemon)
    owner.own("key1")
    inode = daemon.file.stat().st_ino
    assert ask(daemon, op="compact")["ok"]
    wait_until(lambda: daemon.file.stat().st_ino != inode)
    daemon.kill()
    daemon.start()
    assert_stays(daemon, "key1")

    owner.kill()

    assert is_gone(daemon, "key1")


# In this process.


def test_a_local_stores_key_goes_with_its_process(daemon, sleeper):
    """Its own when the next one opens the file, another's at once."""
    daemon.stop()
    other = sleeper()
    code = (
        "import os, signal, sys\n"
        "from kvd import LocalDataStore\n"
        "store = LocalDataStore(sys.argv[1])\n"
        "store.put('mine', 1, ephemeral=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(daemon.file)], check=False)

    with LocalDataStore(daemon.file) as store:
        store.put("this", 1, ephemeral=True)
        store.put("other", 1, ephemeral=other.pid)
        wait_until(lambda: not store.exists("mine"))
        assert store.exists("other")
        other.end()
        wait_until(lambda: not store.exists("other"))
        assert store.exists("this")
    with LocalDataStore(daemon.file) as store:
        assert os.getpid() == store.entry("this").owner.pid
