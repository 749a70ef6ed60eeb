"""docs/metrics.md, the alert rules in it, and the dashboard speak of metrics that there are."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kvclient.metrics.families import FAMILIES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "metrics.md").read_text()
NAMES = {family.name for family in FAMILIES} | {
    f"{family.name}_{part}" for family in FAMILIES if family.kind == "histogram" for part in ("bucket", "sum", "count")
}
RULES = re.search(r"```yaml\n(# kvd\.rules\.yml\n.*?)```", PAGE, re.DOTALL)[1]


def mentioned(text):
    """Return the names of metrics in a text."""
    return set(re.findall(r"\bkvd_[a-z_]+", text))


def test_the_table_is_that_of_the_declarations():
    """Name, type, labels and meaning, in their order."""
    rows = [
        f"| `{family.name}` | {family.kind} | {', '.join(f'`{label}`' for label in family.labels)} | {family.help} |"
        for family in FAMILIES
    ]

    assert rows == re.findall(r"^\| `kvd_.* \|$", PAGE.partition("## What is timed")[0], re.MULTILINE)


def test_the_page_names_metrics_that_there_are():
    """In its alert rules, too."""
    assert mentioned(PAGE) <= NAMES
    assert len(mentioned(RULES)) > 3


def test_the_dashboard_shows_metrics_that_there_are():
    """All of them but what is only for joins; and every panel has a place of its own."""
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    shown = set().union(*map(mentioned, expressions))

    assert shown <= NAMES
    histograms = {family.name for family in FAMILIES if family.kind == "histogram"}
    not_shown = {"kvd_build_info", "kvd_refusing", "kvd_restart_needed", "kvd_revision", "kvd_compactions_total"}
    assert {family.name for family in FAMILIES} - histograms - shown == not_shown
    assert {f"{name}_bucket" for name in histograms} <= shown
    places = [
        (column, row)
        for place in (panel["gridPos"] for panel in dashboard["panels"])
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(column for column, _ in places) < 24


promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


@promtool
def test_the_alert_rules_are_sound(tmp_path):
    """As promtool reads them; and so are the dashboard's expressions."""
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    recorded = "".join(
        f"      - record: dashboard:panel:{number}\n        expr: {json.dumps(text)}\n"
        for number, text in enumerate(
            expression.replace("$store", ".*").replace("$__rate_interval", "5m") for expression in expressions
        )
    )
    for name, text in {
        "alerts.yml": RULES,
        "panels.yml": f"groups:\n  - name: dashboard\n    rules:\n{recorded}",
    }.items():
        (tmp_path / name).write_text(text)
        done = subprocess.run(
            ["promtool", "check", "rules", tmp_path / name], capture_output=True, text=True, check=False
        )
        assert 0 == done.returncode, done.stdout + done.stderr


@promtool
def test_the_scrape_configuration_is_sound(tmp_path):
    """As promtool reads it."""
    config = tmp_path / "prometheus.yml"
    config.write_text(re.search(r"```yaml\n(# prometheus\.yml\n.*?)```", PAGE, re.DOTALL)[1])

    done = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
