"""What the daemon tells systemd, in datagrams to a socket that a test holds instead of it."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from kvd.backend.file.engine.file import JsonFile
from kvd.backend.file.store.store import Store
from kvd.limits import Limits
from kvd.requests.twins import TWINS
from kvd.server.notify import Notifier, summary
from processes import wait_until


class Manager:
    """Receives what is sent to NOTIFY_SOCKET."""

    def __init__(self, directory):
        self.address = f"{directory}/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)
        self.heard = []

    def listen(self):
        """Return all messages so far, each a list of lines."""
        try:
            while True:
                self.heard.append(self._socket.recv(65536).decode().splitlines())
        except BlockingIOError:
            return self.heard

    def lines(self):
        return [line for message in self.listen() for line in message]

    def close(self):
        self._socket.close()


@pytest.fixture
def manager(directory):
    manager = Manager(directory)
    yield manager
    manager.close()


@pytest.fixture
def notified(start_daemon, manager, monkeypatch):
    """Start a daemon that tells the manager, which asks for a sign of life every 0.9 s."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setenv("WATCHDOG_USEC", "900000")
    return start_daemon


@pytest.fixture
def watchdog(manager, clock):
    """A notifier with a watchdog of 30 seconds, and its clock."""
    return Notifier({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "30000000"}, clock), clock


class TestNotifier:
    def test_a_path_that_is_no_utf_8_is_told_with_escapes(self, manager, watchdog):
        """A manager takes nothing but UTF-8."""
        watchdog[0].opening(Path(os.fsdecode(b"/\xff.json")), 1, 2)

        assert r"STATUS=Opening /\udcff.json: 50% of 2 bytes" in manager.lines()

    def test_the_watchdog_is_fed_three_times_as_often_as_it_asks_for(self, manager, watchdog):
        """However often the loop turns, it is fed every ten seconds of thirty."""
        notifier, clock = watchdog
        for _ in range(300):
            notifier.beat(lambda: "")
            clock.now += 0.1

        assert manager.lines() == ["WATCHDOG=1"] * 3

    def test_the_status_is_told_when_it_changes(self, manager, watchdog):
        """A status is sent once, and a new one within a second."""
        notifier, clock = watchdog
        notifier.ready("one")
        for status in ("one", "one", "two", "two"):
            clock.now += 1.0
            notifier.beat(lambda status=status: status)

        assert manager.lines() == ["READY=1", "STATUS=one", "WATCHDOG=1", "STATUS=two"]

    def test_opening_asks_for_more_time(self, manager, watchdog, directory):
        """Each sign of progress extends the start by a minute; twice a second is enough."""
        notifier, clock = watchdog
        for done in range(5):
            notifier.opening(directory / "f.json", done << 20, 4 << 20)
            clock.now += 0.25

        assert manager.listen() == [
            [f"STATUS=Opening {directory}/f.json: {share} of 4.0 MiB", "EXTEND_TIMEOUT_USEC=60000000"]
            for share in ("0%", "50%", "100%")
        ]

    def test_a_watchdog_that_says_no_time_is_none(self, manager):
        """It is not what systemd sets, and no reason not to serve."""
        Notifier({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "soon"}).beat(lambda: "")

        assert manager.lines() == []

    def test_a_watchdog_of_another_process_is_not_ours(self, manager):
        """WATCHDOG_PID names who has to feed it."""
        environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": str(os.getpid() + 1)}

        Notifier(environment).beat(lambda: "")

        assert manager.lines() == []

    def test_a_manager_that_does_not_listen_stops_nothing(self, directory, clock):
        """Where the socket is gone, or full, the daemon goes on."""
        gone = Notifier({"NOTIFY_SOCKET": f"{directory}/nobody", "WATCHDOG_USEC": "1"})
        gone.ready("")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
            deaf.bind(f"{directory}/deaf")
            full = Notifier({"NOTIFY_SOCKET": f"{directory}/deaf", "WATCHDOG_USEC": "1"}, clock)
            for _ in range(5000):
                clock.now += 2
                full.beat(lambda: "")

    @pytest.mark.parametrize(
        ("trouble", "compacting", "told"),
        [
            ("", False, "Serving: 1,234 keys, 1.5 KiB of 1.0 GiB"),
            ("", True, "Compacting: 1,234 keys, 1.5 KiB of 1.0 GiB"),
            ("It was\nreplaced.", False, "Refusing writes: 1,234 keys, 1.5 KiB of 1.0 GiB. It was replaced."),
        ],
    )
    def test_summary(self, trouble, compacting, told):
        """The status line says in words what the daemon does, how many keys there are, and how full the file is."""
        status = {"keys": 1234, "file_bytes": 1536, "max_file_bytes": 1 << 30, "compacting": compacting}
        if trouble:
            status["refusing"] = trouble

        assert told == summary(status)


def filled(path, *, keys, value):
    """Return an engine on a new file with so many keys."""
    engine = JsonFile(path, sync="never")
    store = Store(engine, Limits())
    for number in range(0, keys, 1000):
        group = store.decide([(None, TWINS["batch_create"](items={f"key{number + n}": value for n in range(1000)}))])
        store.write(group)
        store.finish(group)
    return engine


def test_saving_what_another_program_destroyed_is_no_hang(directory):
    """Saving a gigabyte takes longer than the watchdog waits, so there are signs of life all the while."""
    engine = filled(directory / "store.json", keys=1000, value=b"1")
    signs = []
    try:
        engine.rescue(lambda: signs.append(1))
    finally:
        engine.close()

    assert len(signs) == 1000


class TestDaemon:
    def test_ready_comes_when_requests_are_answered_and_stopping_at_the_end(self, manager, notified):
        """The order is: opening, ready with a status, signs of life, stopping."""
        daemon = notified()
        daemon.ask(b'{"op":"create","key":"key1","value":1}')
        wait_until(lambda: any("1 key," in line for line in manager.lines()))
        wait_until(lambda: "WATCHDOG=1" in manager.lines())

        assert daemon.stop() == 0
        heard = manager.listen()
        assert heard[0][0].startswith("STATUS=Opening ")
        assert heard[1][0] == "READY=1"
        assert heard[1][1].startswith("STATUS=Serving: 0 keys, ")
        assert heard[-1] == ["STOPPING=1", "STATUS=Stopping"]

    def test_ready_comes_after_all_of_the_file_was_read(self, directory, manager, notified):
        """While a file is recovered there is progress and no readiness; extensions come before it."""
        engine = filled(directory / "store.json", keys=4000, value=b'"%s"' % (b"x" * 5000))
        engine.close()

        daemon = notified()

        lines = manager.lines()
        ready = lines.index("READY=1")
        assert "EXTEND_TIMEOUT_USEC=60000000" in lines[:ready]
        assert lines[ready + 1].startswith("STATUS=Serving: 4,000 keys, ")
        assert not any(line.startswith(("EXTEND", "STATUS=Opening")) for line in lines[ready:])
        assert daemon.stop() == 0


def test_a_reload_is_told(notified, manager):
    """When it begins, on the manager's clock, and that requests are answered as before."""
    notified().process.send_signal(signal.SIGHUP)

    wait_until(lambda: manager.lines().count("READY=1") == 2)
    lines = manager.lines()
    told = lines[lines.index("RELOADING=1") :]
    assert told[1].startswith("MONOTONIC_USEC=")
    assert int(told[1].partition("=")[2]) <= time.monotonic_ns() // 1000
    assert "READY=1" in told
