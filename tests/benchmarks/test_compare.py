"""The comparison runs, says what it left out, and leaves nothing; its table says what was measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMPARE = Path(__file__).parent / "compare"


def compare(directory, *arguments, **variables):
    """Run the comparison in so short a form that its figures mean nothing."""
    return subprocess.run(
        [sys.executable, COMPARE, "--directory", directory, "--rounds", "1", "--seconds", "0.05", *arguments],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_one_command_compares_and_names_what_is_missing(directory, tmp_path):
    """kvd, a peer and a limit do all workloads with each number of clients; a peer that is not installed is named."""
    found = tmp_path / "found.json"

    done = compare(
        directory,
        *("--clients", "1,2", "--tasks", "3", "--peers", "kvd always,sqlite full,rep,redis always", "--json", found),
        PATH="",
    )
    run = json.loads(found.read_text())

    assert (0, "") == (done.returncode, done.stderr)
    assert {
        (workload, clients, peer)
        for peer, workloads in {
            "kvd always": ["create", "read", "batch"],
            "SQLite FULL": ["create", "read", "batch"],
            "REP echo": ["read"],
        }.items()
        for workload in workloads
        for clients in (1, 2)
    } == {(result["workload"], result["clients"], result["peer"]) for result in run["results"]}
    assert [("create", 3, "kvd always"), ("read", 3, "kvd always")] == [
        (result["workload"], result["clients"], result["peer"]) for result in run["tasks"]
    ]
    assert all(1 == len(result["rates"]) and result["rates"][0] > 0 for result in run["results"] + run["tasks"])
    assert "Redis always (needs the program redis-server)" in done.stdout
    assert "reads beside a slow disk (needs the program strace)" in done.stdout
    assert run["start_up"]["kvctl read"] > 0
    assert [] == list(directory.iterdir())


def test_unknown_workload_is_refused(directory):
    """A workload that does not exist ends with an error that names those that do."""
    done = compare(directory, "--workloads", "write")

    assert 2 == done.returncode
    assert "create,read,batch" in done.stderr


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(str(COMPARE))
    import table

    return table


def test_table_shows_ratios_of_medians_and_whether_they_are_enough(table):
    """The median of kvd is divided by the peer's; beside it stand what is wanted and whether it was reached."""
    rates = {"kvd always": [90, 300, 110], "Redis always": [100, 100, 900], "SQLite FULL": [1000, 550, 540]}
    run = {
        "date": "2026-01-01",
        "machine": "a machine",
        "rounds": 3,
        "peers": list(rates),
        "durable": list(rates),
        "limits": [],
        "missing": [],
        "results": [
            {"workload": workload, "peer": peer, "clients": 4, "rates": measured}
            for workload in ("create", "batch")
            for peer, measured in rates.items()
        ],
        "tasks": [
            {"workload": "read", "peer": peer, "clients": 64, "rates": measured}
            for peer, measured in rates.items()
            if peer != "SQLite FULL"
        ],
        "slow_disk": {"p99": 0.0051},
    }
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.report(run).splitlines() if "|" in line]

    assert ["Redis always", "100", "1.10"] in rows
    assert ["SQLite FULL", "550", "0.20"] in rows
    assert ["create: kvd always / Redis always", "4", "1.10", "≥ 1.00", "yes"] in rows
    assert ["batch: kvd always / Redis always", "4", "1.10", "≥ 1.50", "NO"] in rows
    assert ["read: kvd always / Redis always", "64 tasks", "1.10", "≥ 1.20", "NO"] in rows
    assert [["5.10 ms", "≤ 5 ms", "NO"]] == [row[2:] for row in rows if row[0].startswith("p99")]
    assert "- create, 4 clients: SQLite FULL 5.0 ×" in table.report(run)
