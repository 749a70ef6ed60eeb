"""The exporter as a process: what it serves, whom it asks, and whom it never starts."""

import os
import signal
import socket
import subprocess
import sys

from prometheus_client.parser import text_string_to_metric_families

from kvclient import Client
from processes import environment, kvctl, wait_until


def up(exporter):
    """Return which stores a scrape tells to be up."""
    status, page = exporter.get()
    assert 200 == status
    return {
        sample.labels["store"]: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "kvd_up"
    }


class TestStores:
    def test_all_of_the_user_as_they_come_and_go(self, start_exporter, directory):
        """Without names: a store is there from its first use on, and down when its daemon was stopped."""
        exporter = start_exporter()
        assert {} == up(exporter)

        for store in ("data_store", "work"):
            kvctl("create", "key1", "1", "--store", store, directory=directory)
        assert {"data_store": 1, "work": 1} == up(exporter)

        kvctl("stop", "--store", "work", directory=directory)
        assert {"data_store": 1, "work": 0} == up(exporter)
        kvctl("stop", directory=directory)
        assert {"data_store": 0, "work": 0} == up(exporter)

    def test_those_that_are_named(self, start_exporter, start_daemon):
        """By name or endpoint; nothing else is looked at."""
        daemon = start_daemon()
        exporter = start_exporter("work", daemon.endpoint)

        assert {"work": 0, "store": 1} == up(exporter)

    def test_a_socket_without_a_daemon_is_left_alone(self, start_exporter, directory):
        """Where systemd listens, a connection would have it start one."""
        environment(directory)
        (directory / "run/kvd").mkdir(mode=0o700)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(directory / "run/kvd/work.sock"))
            listener.listen()
            listener.setblocking(False)

            assert {"work": 0} == up(start_exporter())
            try:
                listener.accept()
            except BlockingIOError:
                return
        raise AssertionError("it was connected to")

    def test_a_daemon_that_hangs(self, start_exporter, start_daemon, directory):
        """It is down, and the others are told of all the same."""
        hanging = start_daemon()
        kvctl("create", "key1", "1", directory=directory)
        exporter = start_exporter("data_store", hanging.endpoint, "--timeout", "0.5")
        hanging.freeze()
        try:
            assert {"data_store": 1, "store": 0} == up(exporter)
        finally:
            os.kill(hanging.process.pid, signal.SIGCONT)
            kvctl("stop", directory=directory)
        assert {"data_store": 0, "store": 1} == up(exporter)


class TestPages:
    def test_ready(self, start_exporter, start_daemon):
        """200 while all would take a value; 503 with the reason where one would not, or is not there."""
        daemon = start_daemon()
        exporter = start_exporter(daemon.endpoint)
        assert (200, "Ready.\n") == exporter.get("/-/ready")

        with Client(daemon.endpoint) as store:
            store.create("key1", 1)
            daemon.file.write_bytes(daemon.file.read_bytes().replace(b'"value":1', b'"value":2'))
            wait_until(lambda: "refusing" in store.status())
        status, page = exporter.get("/-/ready")
        assert 503 == status
        assert page.startswith("store: Writes are refused. ")

        daemon.kill()
        assert (503, f"store: No daemon serves {daemon.endpoint}.\n") == exporter.get("/-/ready")
        assert 200 == exporter.get("/-/healthy")[0]

    def test_without_stores_it_is_not_ready(self, start_exporter):
        """Nothing would take a value."""
        assert (503, "There are no stores.\n") == start_exporter().get("/-/ready")

    def test_other_paths(self, start_exporter):
        """They name those that there are."""
        assert (404, "There are /metrics, /-/ready and /-/healthy.\n") == start_exporter().get("/")


class TestProcess:
    def test_sigterm_ends_it(self, start_exporter):
        """With exit code 0 and nothing more to say."""
        exporter = start_exporter()
        exporter.process.send_signal(signal.SIGTERM)

        assert 0 == exporter.process.wait(timeout=30)
        assert "" == exporter.process.stderr.read()

    def _refused(self, directory, *options, script="from kvclient.exporter import main; main()"):
        command = [sys.executable, "-c", script, *options]
        done = subprocess.run(
            command, env=environment(directory), capture_output=True, text=True, timeout=60, check=False
        )
        assert (1, 1) == (done.returncode, done.stderr.count("\n"))
        return done.stderr

    def test_a_port_that_is_taken(self, start_exporter, directory):
        """One line that names it."""
        address = start_exporter().address.removeprefix("http://")

        assert f"kvd-exporter: Nothing can listen on {address}: Address already in use." in self._refused(
            directory, "--listen", address
        )

    def test_what_is_no_address(self, directory):
        """One line that shows what is one."""
        assert "--listen takes a host and a port, as in 127.0.0.1:9867, not '9867'" in self._refused(
            directory, "--listen", "9867"
        )

    def test_what_is_no_store(self, directory):
        """One line that says what a name has."""
        assert "A store's name has letters" in self._refused(directory, "../x", "--listen", "127.0.0.1:0")

    def test_without_prometheus_client(self, directory):
        """One line that tells how to install it, and what does without."""
        script = "import sys; sys.modules['prometheus_client'] = None; from kvclient.exporter import main; main()"

        said = self._refused(directory, script=script)
        assert "pip install 'kvd-store[exporter]'" in said
        assert "kvctl stats --prometheus" in said

    def test_ipv6(self, directory):
        """An address in brackets, as in a URL."""
        process = subprocess.Popen(
            [sys.executable, "-m", "kvclient.exporter", "--listen", "[::1]:0"],
            env=environment(directory),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr.readline().startswith("kvd-exporter: http://[::1]:")
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
