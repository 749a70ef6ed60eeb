"""Another user of the machine, who would like to be taken for the daemon, or to be helped by it."""

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from kvclient import AccessDeniedError, AsyncClient, Client
from kvclient.contract.ownership import check_peer, check_safe, make_private
from kvd.lock import Lock
from processes import Daemon, environment
from users import ATTACKER, VICTIM, as_user, becoming

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="to be another user needs root")

LISTEN = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[2])
os.chmod(sys.argv[2], 0o777)
listener.listen()
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    print(connection.recv(1000), flush=True)
"""


@contextmanager
def listening(path, uid):
    """A user who listens at `path`; yield a function that returns what was sent to him."""
    process = subprocess.Popen([sys.executable, "-c", LISTEN, str(uid), str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "listening\n"

    def received():
        """Return the first that was sent, once somebody has hung up."""
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(path))
            last.sendall(b"the last")
        return process.stdout.readline().strip()

    yield received
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def shared(directory):
    """A directory like /tmp: everybody writes, and nobody removes what is another's."""
    directory.chmod(0o755)
    shared = directory / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    return shared


async def _ask(endpoint):
    async with AsyncClient(endpoint, timeout=5) as store:
        return await store.create("key1", "secret")


def _blocking(endpoint):
    with Client(endpoint, timeout=5) as store:
        return store.create("key1", "secret")


CREATE = [_blocking, lambda endpoint: asyncio.run(_ask(endpoint))]


class TestClients:
    @pytest.mark.parametrize("create", CREATE, ids=["Client", "AsyncClient"])
    def test_nothing_is_sent_to_another_user(self, shared, create):
        """AccessDeniedError, and whoever listens there has heard nothing."""
        path = shared / "x.sock"
        with listening(path, ATTACKER) as received:
            with pytest.raises(PermissionError) as caught:
                create(f"ipc://{path}")

            assert AccessDeniedError is type(caught.value)
            heard = received()

        assert heard in ("b''", "b'the last'")  # of one who only looked, or of nobody

    def test_the_message_names_the_user(self, shared):
        """And what to do."""
        told = rf"another user \(uid {ATTACKER}\).* nothing was sent"
        with listening(shared / "x.sock", ATTACKER), pytest.raises(AccessDeniedError, match=told):
            Client(f"ipc://{shared}/x.sock").ping()

    @pytest.mark.parametrize("create", CREATE, ids=["Client", "AsyncClient"])
    def test_root_s_daemon_is_trusted(self, directory, start_daemon, create):
        """It could read everything anyway. What it lets others do is another question."""
        directory.chmod(0o755)
        daemon = start_daemon(access=f'[{{"uid": {VICTIM}, "write": ["key1"]}}]', shared_socket="true")

        assert "1" == as_user(VICTIM, lambda: create(daemon.endpoint))
        assert "AccessDeniedError: Key 'key1' may not be" in as_user(ATTACKER, lambda: create(daemon.endpoint))

    @pytest.mark.parametrize("create", CREATE, ids=["Client", "AsyncClient"])
    def test_a_daemon_in_its_user_s_own_directory_is_trusted_by_who_names_it(self, directory, start_daemon, create):
        """Nobody else can have put it there; in a directory that everybody can make, anybody can."""
        directory.chmod(0o755)
        served = directory / "served"
        served.mkdir()
        os.chown(served, ATTACKER, ATTACKER)
        table = f'[{{"uid": {VICTIM}, "write": ["key1"]}}]'
        daemon = start_daemon(at=served, prefix=becoming(ATTACKER), access=table, shared_socket="true")

        assert "1" == as_user(VICTIM, lambda: create(daemon.endpoint))
        directory.chmod(0o1777)
        assert "nothing was sent" in as_user(VICTIM, lambda: create(daemon.endpoint))
        directory.chmod(0o755)
        os.chown(served, 0, 0)  # and he merely listens there
        assert "nothing was sent" in as_user(VICTIM, lambda: create(daemon.endpoint))

    def test_the_default_endpoint_is_never_another_user_s(self, directory):
        """It was not named, and so nobody said whom they meant."""
        directory.chmod(0o755)
        served = directory / "served"
        served.mkdir(mode=0o755)
        os.chown(served, ATTACKER, ATTACKER)
        with listening(served / "x.sock", ATTACKER), socket.socket(socket.AF_UNIX) as connected:
            connected.connect(f"{served}/x.sock")
            check_peer(connected, served / "x.sock", named=True)

            with pytest.raises(AccessDeniedError):
                check_peer(connected, served / "x.sock", named=False)


class TestDefaultDirectory:
    @pytest.mark.parametrize("create", CREATE, ids=["Client", "AsyncClient"])
    @pytest.mark.parametrize("listens", [True, False])
    def test_the_runtime_directory_of_another_user(self, directory, monkeypatch, create, listens):
        """`su bob` keeps XDG_RUNTIME_DIR as it was: the message names whose it is, and says what to do."""
        directory.chmod(0o755)
        theirs = directory / "theirs"
        (theirs / "kvd").mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as listener:
            if listens:
                listener.bind(str(theirs / "kvd" / "data_store.sock"))
                listener.listen()
            for path in (theirs / "kvd", theirs):
                path.chmod(0o700)
                os.chown(path, ATTACKER, ATTACKER)
            monkeypatch.setenv("HOME", str(directory))
            monkeypatch.setenv("XDG_RUNTIME_DIR", str(theirs))

            said = as_user(VICTIM, lambda: create(None))

        assert said.startswith(f"AccessDeniedError: The directory {theirs} belongs to another user (uid {ATTACKER})")
        assert f"XDG_RUNTIME_DIR={theirs} is another user's, as after 'su': unset it" in said

    def test_one_that_another_user_made_first(self, shared):
        """Neither the client nor the daemon uses it, and nothing is created in it."""
        taken = shared / "runtime" / "kvd"
        taken.mkdir(parents=True)
        for path in (taken.parent, taken):
            path.chmod(0o777)
            os.chown(path, ATTACKER, ATTACKER)
        variables = environment(shared.parent, XDG_RUNTIME_DIR=str(taken.parent))
        for command in (
            [sys.executable, "-c", "from kvclient.cli import main; main()", "create", "key1", "1"],
            [sys.executable, "-m", "kvd"],
        ):
            done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=30)

            assert 1 == done.returncode
            assert f"belongs to another user (uid {ATTACKER})" in done.stderr
            assert f"XDG_RUNTIME_DIR={taken.parent} is another user's" in done.stderr
            assert 1 == done.stderr.count("\n")
        assert [] == list(taken.iterdir())
        assert not (shared.parent / "Documents").exists()

    def test_a_link_in_its_place(self, shared):
        """A link leads to wherever somebody wants a file to be made."""
        target = shared.parent / "precious"
        target.mkdir(mode=0o700)
        (shared / "kvd").symlink_to(target)
        os.chown(shared / "kvd", ATTACKER, ATTACKER, follow_symlinks=False)
        with pytest.raises(AccessDeniedError):
            make_private(shared / "kvd")

        os.chown(shared / "kvd", 0, 0, follow_symlinks=False)
        with pytest.raises(AccessDeniedError, match="is a symbolic link"):
            make_private(shared / "kvd")
        assert [] == list(target.iterdir())

    def test_a_mode_that_is_too_wide_is_tightened(self, shared):
        """It may have been made with another umask."""
        mine = shared / "kvd"
        mine.mkdir()
        mine.chmod(0o755)

        make_private(mine)

        assert 0o700 == mine.stat().st_mode & 0o777

    def test_one_is_made_for_its_user_alone(self, directory):
        """With those above it, whatever the umask."""
        before = os.umask(0)
        try:
            make_private(directory / "a" / "b" / "kvd")
        finally:
            os.umask(before)

        assert [0o700] * 3 == [(directory / path).stat().st_mode & 0o777 for path in ("a", "a/b", "a/b/kvd")]

    def test_root_s_is_not_a_user_s(self, directory):
        """A socket of this user alone belongs into a directory of this user."""
        directory.chmod(0o755)
        (directory / "kvd").mkdir(mode=0o755)

        said = as_user(VICTIM, lambda: make_private(directory / "kvd"))

        assert "belongs to another user (uid 0)" in said


class TestPath:
    def test_a_part_that_others_can_replace(self, directory):
        """A directory of one's own is not safe below one that everybody can write to."""
        (directory / "open" / "mine").mkdir(parents=True)
        (directory / "open").chmod(0o777)

        with pytest.raises(AccessDeniedError, match=rf"can write to {directory}/open, so the path"):
            check_safe(directory / "open" / "mine")

    def test_links_are_looked_at_as_the_kernel_follows_them(self, directory, shared):
        """One of one's own leads somewhere safe; one that leads through another's directory does not."""
        (directory / "mine").mkdir(mode=0o700)
        (shared / "link").symlink_to("../mine")
        check_safe(shared / "link")

        (shared / "theirs").mkdir(mode=0o755)
        (shared / "theirs" / "kvd").mkdir(mode=0o755)
        os.chown(shared / "theirs", ATTACKER, ATTACKER)
        (directory / "to-theirs").symlink_to(shared / "theirs" / "kvd")
        with pytest.raises(AccessDeniedError, match=f"{shared}/theirs belongs to another user"):
            check_safe(directory / "to-theirs")

    def test_links_that_lead_nowhere_come_to_an_end(self, directory):
        """Each to the other."""
        (directory / "one").symlink_to("two")
        (directory / "two").symlink_to("one")

        with pytest.raises(AccessDeniedError, match="too many symbolic links"):
            check_safe(directory / "one")

    @pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
    def test_a_daemon_does_not_serve_where_others_can_write(self, directory, mode):
        """Not where a setting says so either: exit code 1, and what to do."""
        (directory / "open").mkdir()
        (directory / "open").chmod(mode)
        os.chown(directory / "open", 0, ATTACKER)
        daemon = Daemon(directory)
        daemon.endpoint = f"ipc://{directory}/open/x.sock"

        assert 1 == daemon.launch().wait(timeout=30)

        told = daemon.log.read_text()
        assert f"Other users can write to the directory {directory}/open" in told
        assert f"'chmod go-w {directory}/open'" in told
        assert 1 == told.count("\n")
        assert [] == list((directory / "open").iterdir())


def test_files_beside_the_socket_are_no_links(directory, python_as_client):
    """A link in the place of a lock file creates nothing where it leads."""
    run = directory / "run" / "kvd"
    run.mkdir(parents=True, mode=0o700)
    (directory / "run").chmod(0o700)
    (run / "data_store.sock.start").symlink_to(directory / "planted")

    assert "No daemon runs and none could be started: [Errno 40]" in python_as_client()
    assert not (directory / "planted").exists()
    (run / "x.lock").symlink_to(directory / "planted")
    with pytest.raises(OSError, match="Too many levels"):
        Lock(run / "x", "it")
    assert not (directory / "planted").exists()


@pytest.fixture
def python_as_client(directory):
    """Create a key by a client of the default store, and return what was said."""

    def create():
        program = "from kvclient.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program, "create", "key1", "1"],
            env=environment(directory),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return done.stderr

    return create
