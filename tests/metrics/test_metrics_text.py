"""The text that Prometheus reads: what its own parser, client library and checker say of it."""

import json
import shutil
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from kvclient import Client
from kvclient.exporter.collector import Stores
from kvclient.metrics.families import FAMILIES
from kvclient.metrics.text import text
from processes import environment, kvctl


def samples(exposition):
    """Return all samples of a text by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


@pytest.fixture
def told(start_daemon):
    """What a daemon tells that has done something of everything."""
    daemon = start_daemon()
    with Client(daemon.endpoint) as store:
        store.create("key1", 1, ttl=1000)
        store.create("lock", 1, ephemeral=True)
        with pytest.raises(KeyError):
            store.read("none")
        for _ in range(100):
            store.read("key1")
        return store.status() | store.stats()


class TestText:
    def test_every_metric_is_there_with_type_and_help(self, told):
        """In the order of the declarations; the text ends with a newline, as the textfile collector wants it."""
        exposition = text({"data_store": told})

        found = [family for family in text_string_to_metric_families(exposition) if family.samples]
        assert [(each.name.removesuffix("_total"), each.kind, each.help) for each in FAMILIES] == [
            (family.name, family.type, family.documentation) for family in found
        ]
        assert exposition.endswith("\n")
        assert all(name.endswith("_total") for name, kind, *_ in FAMILIES if kind == "counter")

    def test_values_are_those_of_the_daemon(self, told):
        """Counters by their label, numbers as they are, and histograms whose last bound has all."""
        found = samples(text({"data_store": told}))

        store = ("store", "data_store")
        assert 101 == found["kvd_operations_total", ("op", "read"), store]
        assert 1 == found["kvd_errors_total", ("error", "KeyNotFoundError"), store]
        assert (1, 1, 2) == tuple(found[f"kvd_{name}keys", store] for name in ("expiring_", "ephemeral_", ""))
        assert 2 == found["kvd_committed_operations_total", store]
        assert told["commits"] == found["kvd_commit_seconds_count", store]
        assert told["sync_seconds"] == found["kvd_commit_seconds_sum", store]
        assert 2 == found["kvd_request_seconds_bucket", ("kind", "changes"), ("le", "+Inf"), store]

    def test_it_is_what_prometheus_client_writes(self, told):
        """The exporter's metrics and the text are the same, for several stores and for one that is not there."""

        class Known(Stores):
            def _ask(self):
                return stores

        stores = {'a "name"\\with\nall': told, "work": told}
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Known([], 1.0))

        assert samples(generate_latest(registry).decode()) == samples(text(stores))
        assert 'store="a \\"name\\"\\\\with\\nall"' in text(stores)
        assert {("kvd_up", ("store", "work")): 0} == samples(text({"work": None}))

    @pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
    def test_promtool_finds_nothing_to_say(self, told):
        """Neither of the format nor of the names."""
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=text({"work": told}), capture_output=True, text=True, check=False
        )

        assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


class TestStatsPrometheus:
    def test_of_a_daemon(self, start_daemon, directory):
        """All metrics on standard output, with the name of the socket for that of the store."""
        daemon = start_daemon()
        done = kvctl("stats", "--prometheus", "--endpoint", daemon.endpoint, directory=directory)

        assert (0, "") == (done.returncode, done.stderr)
        assert 1 == samples(done.stdout)["kvd_up", ("store", "store")]
        assert done.stdout.endswith('kvd_events_total{store="store"} 0\n')

    def test_without_prometheus_client(self, start_daemon, directory):
        """It is an extra that this does not need."""
        daemon = start_daemon()
        script = "import sys; sys.modules['prometheus_client'] = None; from kvclient.cli import main; main()"
        command = [sys.executable, "-c", script, "stats", "--prometheus", "--endpoint", daemon.endpoint]
        done = subprocess.run(command, env=environment(directory), capture_output=True, text=True, check=False)

        assert (0, "") == (done.returncode, done.stderr)
        assert 1 == samples(done.stdout)["kvd_up", ("store", "store")]

    def test_without_a_daemon(self, directory):
        """The store is told to be down, so that a file that is written of it says so; exit code 6, none is started."""
        done = kvctl("stats", "--prometheus", "--store", "work", directory=directory)

        assert 6 == done.returncode
        assert {("kvd_up", ("store", "work")): 0} == samples(done.stdout)
        assert "No daemon serves" in done.stderr
        assert [] == list(directory.glob("run/kvd/*"))

    def test_not_together_with_json(self, directory):
        """A usage error."""
        assert 2 == kvctl("stats", "--prometheus", "--json", directory=directory).returncode


def test_stats_show_how_long_requests_took(start_daemon, directory):
    """Within which bound half of them were done, and 99 %; what was never timed says so."""
    daemon = start_daemon(sync="never")
    with Client(daemon.endpoint) as store:
        store.create("key1", 1)
    shown = kvctl("stats", "--endpoint", daemon.endpoint, directory=directory).stdout
    rows = {line[:12].strip(): line[12:] for line in shown.splitlines()}

    assert "none yet" == rows["read time"] == rows["sync time"]
    assert rows["change time"].startswith("50 % within ")
    assert ", 99 % within " in rows["commit time"]
    latencies = json.loads(kvctl("stats", "--json", "--endpoint", daemon.endpoint, directory=directory).stdout)
    assert {"reads", "changes", "commits", "syncs"} == set(latencies["latencies"])
