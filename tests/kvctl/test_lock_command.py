"""kvctl lock runs a command while nobody else holds the lock, and is that command then."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kvclient import Client
from processes import KVCTL, environment, kvctl, wait_until


@pytest.fixture
def store(shared_daemon):
    with Client(shared_daemon.endpoint) as store:
        yield store


@pytest.fixture
def lock(shared_daemon, directory):
    """Start kvctl lock; it ends with the test."""
    processes = []

    def lock(*arguments, **options):
        environ = environment(directory, KVD_ENDPOINT=shared_daemon.endpoint)
        processes.append(subprocess.Popen([*KVCTL, "lock", *arguments], env=environ, **options))
        return processes[-1]

    yield lock
    for process in processes:
        process.kill()
        process.wait()


def in_line(store, name):
    return store.count(f"lock:{name}#")


FORMS = [(), ("--timeout", "30")]
"""Of the command line: that which needs no Typer, and that which does."""


@pytest.mark.parametrize("more", FORMS, ids=["short", "with options"])
class TestTheCommand:
    def test_is_the_same_process(self, store, key, more, lock):
        """Its pid is kvctl's, which owns the lock; when it ends, the lock is free."""
        process = lock(
            key, *more, "--", "sh", "-c", "echo $$; read line", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.pid == int(process.stdout.readline())
        (ticket,) = store.entries(f"lock:{key}#")
        assert process.pid == ticket.owner.pid
        assert "sh -c 'echo $$; read line'" == ticket.value["command"]
        process.communicate(b"\n")

        wait_until(lambda: in_line(store, key) == 0)

    def test_has_its_own_exit_code_and_streams(self, run, key, more):
        """What it reads, prints and exits with is between it and who started it."""
        done = run("lock", key, *more, "--", "sh", "-c", "cat; echo oops >&2; exit 42", stdin="text")

        assert (42, "text", "oops\n") == (done.returncode, done.stdout, done.stderr)

    def test_has_its_own_signals(self, key, more, lock):
        """As a shell would have started it: SIGPIPE ends it, which Python ignores."""
        as_is = subprocess.check_output(["cat", "/proc/self/status"], restore_signals=True, text=True)
        process = lock(key, *more, "--", "cat", "/proc/self/status", stdout=subprocess.PIPE, text=True)
        held = process.communicate(timeout=30)[0]

        def ignored(status):
            return next(line for line in status.splitlines() if line.startswith("SigIgn"))

        assert ignored(as_is) == ignored(held)

    def test_gets_the_fencing_number(self, run, key, more):
        """KVD_LOCK_REVISION is the revision of its ticket, and rises."""
        revisions = [int(run("lock", key, *more, "--", "sh", "-c", "echo $KVD_LOCK_REVISION").stdout) for _ in range(2)]

        assert sorted(set(revisions)) == revisions

    def test_that_does_not_exist(self, run, store, key, more):
        """127, as of a shell, in a line; the lock is free."""
        done = run("lock", key, *more, "--", "no-such-command")

        assert (127, "kvctl: There is no command 'no-such-command'.\n") == (done.returncode, done.stderr)
        wait_until(lambda: in_line(store, key) == 0)

    def test_that_cannot_be_run(self, run, key, more):
        """126, as of a shell."""
        done = run("lock", key, *more, "--", "/etc/passwd")

        assert (126, "kvctl: '/etc/passwd' cannot be run: Permission denied.\n") == (done.returncode, done.stderr)

    def test_takes_options_of_its_own(self, run, key, more):
        """What stands behind -- is the command's, --json and --help too."""
        assert "--json --help\n" == run("lock", key, *more, "--", "echo", "--json", "--help").stdout


class TestWhileHeld:
    @pytest.fixture
    def holder(self, key, lock):
        process = lock(key, "--", "sleep", "1000")
        wait_until(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(b"sleep"))
        return process

    @pytest.mark.parametrize("wait", ["0", "0.05"])
    def test_exit_code_4_and_who_holds_it(self, run, holder, key, wait):
        """With pid and command line; nothing was run."""
        done = run("lock", key, "--wait", wait, "--", "echo", "ran")

        assert (4, "") == (done.returncode, done.stdout)
        assert f"kvctl: Lock '{key}' is held by pid {holder.pid} (sleep 1000)." in done.stderr
        assert 1 == done.stderr.count("\n")

    @pytest.mark.usefixtures("holder")
    def test_as_json(self, run, key):
        """The error is one that programs know."""
        done = run("lock", key, "--wait", "0", "--json", "--", "echo", "ran")

        assert 4 == done.returncode
        assert "KeyExistsError" == json.loads(done.stderr)["error"]

    def test_the_next_one_runs_when_the_holder_is_killed(self, holder, store, key, lock):
        """By the kernel's word."""
        waiting = lock(key, "--", "echo", "ran", stdout=subprocess.PIPE)
        wait_until(lambda: in_line(store, key) == 2)
        holder.kill()

        assert (b"ran\n", None) == waiting.communicate(timeout=30)

    @pytest.mark.usefixtures("holder")
    def test_ctrl_c_leaves_the_line(self, store, key, lock):
        """130, without a traceback."""
        waiting = lock(key, "--", "echo", "ran", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: in_line(store, key) == 2)
        waiting.send_signal(signal.SIGINT)

        assert (b"", b"") == waiting.communicate(timeout=30)
        assert 130 == waiting.returncode
        assert 1 == in_line(store, key)

    def test_list_shows_it(self, run, holder, key):
        """With the command and its owner."""
        (line,) = run("list", f"lock:{key}", "--values", "--json").stdout.splitlines()
        fields = json.loads(line)

        assert ("sleep 1000", holder.pid) == (fields["value"]["command"], fields["owner"]["pid"])

    def test_shared(self, run, key, lock, store):
        """With --shared 3 three run at a time, and a fourth does not, nor one who minds so many."""
        for _ in range(2):
            lock(f"{key}s", "--shared", "3", "--", "sleep", "1000")
        wait_until(lambda: in_line(store, f"{key}s") == 2)

        assert 4 == run("lock", f"{key}s", "--shared", "2", "--wait", "0", "--", "true").returncode
        lock(f"{key}s", "--shared", "3", "--", "sleep", "1000")
        wait_until(lambda: in_line(store, f"{key}s") == 3)
        assert 4 == run("lock", f"{key}s", "--shared", "3", "--wait", "0", "--", "true").returncode


def test_a_lock_within_itself_is_refused(run, key):
    """It would wait for itself."""
    inner = [*KVCTL, "lock", key, "--", "true"]
    done = run("lock", key, "--", *inner)

    assert 4 == done.returncode
    assert "is held by this very process" in done.stderr


def test_two_locks_one_within_the_other(run, key):
    """One process holds both."""
    assert "ran\n" == run("lock", f"{key}a", "--", *KVCTL, "lock", f"{key}b", "--", "echo", "ran").stdout


def test_the_command_has_no_children_that_it_did_not_start(directory):
    """The daemon that the lock needed and started is none of the command's children, for which it may wait."""
    waits = "import os\ntry:\n    os.wait()\nexcept ChildProcessError:\n    print('none')"
    try:
        done = kvctl("lock", "x", "--", sys.executable, "-c", waits, directory=directory)
    finally:
        kvctl("stop", directory=directory)

    assert (0, "none\n", "") == (done.returncode, done.stdout, done.stderr)


JOB = """
echo in $$ $KVD_LOCK_REVISION $(date +%s.%N) >>"$1"
sleep $2
echo out $$ $KVD_LOCK_REVISION $(date +%s.%N) >>"$1"
"""


def test_never_two_at_a_time_however_holders_die(directory, store, key, lock, long):
    """Six jobs a second, holders killed with SIGKILL at random: who is in is alone, and each has a higher revision.

    With --long for a minute. How long the next one took to be in after a death is printed.
    """
    chance, seconds = random.Random(13), 60 if long else 5
    log, jobs, deaths, missed = directory / "log", [], {}, set()
    log.touch()
    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        if len(jobs) < now * 6:
            jobs.append(lock(key, "--", "sh", "-c", JOB, "sh", str(log), str(chance.uniform(0, 0.3))))
        holder = who_is_in(told(log))
        if holder is not None and holder not in deaths and chance.random() < 0.05:
            if in_line(store, key) > 1:
                missed.add(holder)
            deaths[holder] = time.time()
            os.kill(holder, signal.SIGKILL)
        time.sleep(0.005)
    for job in jobs:
        job.wait(timeout=60)

    ran = [(pid, revision) for what, pid, revision, _ in told(log) if what == "in"]
    assert {job.pid for job in jobs} == {pid for pid, _ in ran}
    assert sorted(revision for _, revision in ran) == [revision for _, revision in ran]
    gaps = sorted(gap for pid, gap in changes_of_hands(told(log), deaths) if pid in missed)
    if gaps:
        print(
            f"{len(jobs)} jobs, {len(deaths)} killed; the next one, where one waited, was in after "
            f"{gaps[len(gaps) // 2] * 1000:.0f} ms (median), {gaps[-1] * 1000:.0f} ms (most)"
        )


def told(log):
    """What the jobs wrote: in or out, pid, revision, and when."""
    lines = [line.split() for line in log.read_text().splitlines()]
    return [(line[0], int(line[1]), int(line[2]), float(line[3])) for line in lines if len(line) == 4]


def who_is_in(history):
    return history[-1][1] if history and history[-1][0] == "in" else None


def changes_of_hands(history, deaths):
    """Check that nobody came in before the one before was out, or had been killed.

    Yields, for each who was killed in there, the pid and how long after that the next one was in.
    """
    inside = None
    for what, pid, _, at in history:
        if what == "out":
            assert inside == pid
            inside = None
            continue
        if inside is not None:
            assert inside in deaths, f"{pid} came in while {inside} was there"
            assert deaths[inside] <= at, f"{pid} came in before {inside} was killed"
            yield inside, at - deaths[inside]
        inside = pid
