"""kvctl bench measures a daemon, and leaves the stores that people use alone."""

import json
import os
import signal
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvclient.bench.latencies import Latencies
from processes import KVCTL, environment, kvctl, wait_until


@pytest.fixture
def temporary(directory):
    path = directory / "temporary"
    path.mkdir()
    return path


@pytest.fixture
def bench(directory, temporary):
    """Run kvctl bench for a moment; what it returns lies in `temporary` while it runs."""

    def bench(*arguments, **variables):
        options = ["--duration", "0.3", "--clients", "2", *arguments]
        return kvctl("bench", *options, directory=directory, TMPDIR=str(temporary), **variables)

    return bench


class TestScratchDaemon:
    def test_result_has_throughput_and_percentiles_of_each_operation(self, bench):
        """With --json, the result says what was measured, and of each operation how many and how long, in seconds."""
        done = bench("--json", "--mix", "create=2,read=2,delete=1", "--value-size", "100", "--sync", "never")
        measured = json.loads(done.stdout)
        results = measured["results"]

        assert (0, "") == (done.returncode, done.stderr)
        assert (2, 100, "never", True) == tuple(measured[n] for n in ("clients", "value_bytes", "sync", "scratch"))
        assert {"create", "read", "delete", "all"} == results.keys()
        assert sum(results[n]["operations"] for n in ("create", "read", "delete")) == results["all"]["operations"]
        for result in results.values():
            times = [result[name] for name in ("p50", "p90", "p99", "p99.9", "max")]
            assert sorted(times) == times
            assert 0 < times[0]
            assert pytest.approx(result["operations"] / measured["seconds"]) == result["per_second"]

    def test_only_what_the_mix_names_is_measured(self, bench):
        """A mix of one operation has one result."""
        assert {"read"} == json.loads(bench("--json", "--mix", "read=1").stdout)["results"].keys()

    def test_person_gets_a_table(self, bench):
        """Without --json the results are a table of at most 80 columns on standard output; no bar in a pipe."""
        done = bench()

        assert "" == done.stderr
        assert ["create", "read", "all"] in [line.split() for line in done.stdout.splitlines()]
        assert "p99.9 ms" in done.stdout
        assert 80 >= max(map(len, done.stdout.splitlines()))

    def test_store_of_the_environment_is_left_alone(self, bench, daemon):
        """A daemon that the environment names is not the one that is measured; nothing is started or left."""
        bench(KVD_ENDPOINT=daemon.endpoint)

        assert 0 == json.loads(daemon.ask(b'{"op":"status"}'))["status"]["revision"]

    def test_nothing_stays(self, bench, temporary):
        """Afterwards there is neither a daemon nor a file."""
        bench()

        assert [] == list(temporary.iterdir())

    @pytest.mark.parametrize("moment", ["first client", "all clients"])
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_nothing_stays_of_an_interrupted_run(self, directory, temporary, number, moment):
        """SIGTERM, Ctrl-C and a terminal that closes end the daemon and remove its file, without a traceback, also of
        half started clients.
        """
        running = subprocess.Popen(
            [*KVCTL, "bench", "--duration", "60", "--clients", "8"],
            env=environment(directory, TMPDIR=str(temporary)),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        keys = 1 if moment == "first client" else 9  # each creates one before all begin
        wait_until(lambda: list(temporary.glob("*/store.json")) and _content(temporary).count(b"bench-") >= keys)
        send = os.kill if number == signal.SIGTERM else os.killpg  # what a terminal sends is for all processes
        send(running.pid, number)

        _, said = running.communicate(timeout=60)

        assert 128 + number == running.returncode
        assert "" == said
        assert [] == list(temporary.iterdir())


def _content(directory):
    return next(directory.glob("*/store.json")).read_bytes()


class TestStoreThatIsNamed:
    def test_keys_expire(self, bench, daemon):
        """With --endpoint that daemon is measured, and all keys that are created there expire."""
        done = bench("--endpoint", daemon.endpoint, "--json")
        entries = [entry for key, entry in json.loads(daemon.file.read_bytes()).items() if key]

        assert not json.loads(done.stdout)["scratch"]
        assert json.loads(done.stdout)["results"]["create"]["operations"] <= len(entries)
        assert all("expires_at" in entry for entry in entries)

    def test_sync_cannot_be_chosen(self, bench, daemon):
        """The daemon that is named has a sync mode already, so --sync is refused."""
        assert 2 == bench("--endpoint", daemon.endpoint, "--sync", "never").returncode


class TestErrors:
    @pytest.mark.parametrize("mix", ["", "create", "create=x", "write=1", "read=1,read=2", "read=0", "read=-1"])
    def test_mix_that_says_nothing_is_refused(self, bench, mix):
        """A mix is operations with whole numbers, one above 0; anything else ends with 2 and no traceback."""
        done = bench("--mix", mix)

        assert 2 == done.returncode
        assert "Traceback" not in done.stderr

    def test_refusal_of_the_daemon_is_the_error(self, bench):
        """If the daemon refuses what the clients do, its error is that of the run, with its exit code."""
        done = bench("--value-size", "2000000")

        assert 5 == done.returncode
        assert "max_value_bytes" in done.stderr

    def test_no_daemon(self, bench, directory):
        """A daemon that is named and does not run is exit code 6."""
        assert 6 == bench("--endpoint", f"ipc://{directory}/none", "--timeout", "0.2").returncode


@given(st.lists(st.integers(1, 10**11), min_size=1), st.floats(1, 100))
def test_percentiles_are_right_within_a_hundredth(times, percent):
    """A percentile is that of the sorted times, within 1 percent, also when they come from several clients."""
    parts = Latencies(), Latencies()
    for at, nanoseconds in enumerate(times):
        parts[at % 2].add(nanoseconds)
    exact = next(t for at, t in enumerate(sorted(times), 1) if at >= len(times) * percent / 100)

    assert pytest.approx(exact, rel=0.01) == Latencies.merged(parts).percentile(percent)
    assert max(times) == Latencies.merged(parts).most
