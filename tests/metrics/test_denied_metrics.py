"""Metrics, status and readiness are the owner's: another user is told so in one line, whatever they ask with."""

import json
import os
import subprocess

import pytest

from processes import environment
from users import client_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="to be another user needs root")

READER, STRANGER = 64_030, 64_031
DENIED = "Only the owner of the daemon may ask for stats, status, compact and stop: {} was refused to uid {}. "


@pytest.fixture
def daemon(directory, start_daemon):
    """A daemon that lets one other user read, and whose socket all can reach."""
    directory.chmod(0o755)
    return start_daemon(shared_socket="true", access=json.dumps([{"uid": READER, "read": [""]}]))


@pytest.fixture
def kvctl_of(daemon, directory):
    """Run `kvctl` as another user; every error is a single line."""

    def run(uid, *words):
        done = subprocess.run(
            [*client_of(uid, "kvclient.cli"), *words, "--endpoint", daemon.endpoint],
            env=environment(directory, KVD_AUTOSTART="0"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr.count("\n") == 1, done.stderr
        return done

    return run


@pytest.mark.parametrize(
    ("words", "op"),
    [(["stats"], "stats"), (["status"], "status"), (["ping", "--ready"], "status"), (["stop"], "status")],
)
def test_kvctl_says_whose_they_are(kvctl_of, words, op):
    """With the exit code of any error, and nothing else."""
    done = kvctl_of(READER, *words)

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"kvctl: {DENIED.format(op, READER)}")


@pytest.mark.parametrize("words", [["stats"], ["status"], ["ping", "--ready"]])
def test_as_json(kvctl_of, words):
    """Only the error, with its name."""
    done = kvctl_of(READER, *words, "--json")

    assert (1, "") == (done.returncode, done.stdout)
    assert "AccessDeniedError" == json.loads(done.stderr)["error"]


def test_a_ping_needs_any_right(kvctl_of):
    """Who may read something is told that the daemon answers; who may do nothing is told that."""
    assert 0 == kvctl_of(READER, "ping").returncode

    done = kvctl_of(STRANGER, "ping")
    assert 1 == done.returncode
    assert f"Nothing may be read by uid {STRANGER}" in done.stderr


def test_the_text_for_prometheus_says_that_it_is_not_up(kvctl_of):
    """For a file that is written and read without anybody looking; the reason is on standard error."""
    done = kvctl_of(READER, "stats", "--prometheus")

    assert 1 == done.returncode
    assert 'kvd_up{store="store"} 0' == done.stdout.splitlines()[-1]
    assert done.stderr.startswith(f"kvctl: {DENIED.format('status', READER)}")


def test_the_exporter_says_why_once(daemon, start_exporter):
    """At each scrape the store is not up; its log has one line until the reason is another."""
    exporter = start_exporter(daemon.endpoint, command=client_of(READER, "kvclient.exporter"))
    for _ in range(3):
        assert 'kvd_up{store="store"} 0.0' in exporter.get()[1]
    status, page = exporter.get("/-/ready")
    assert 503 == status
    assert page.startswith(f"store: {DENIED.format('status', READER)}")
    daemon.kill()
    exporter.get()
    exporter.process.terminate()

    first, second = exporter.process.stderr.read().splitlines()
    assert first.startswith(f"kvd-exporter: store: {DENIED.format('status', READER)}")
    assert second.startswith(f"kvd-exporter: store: No daemon listens on {daemon.endpoint}")
