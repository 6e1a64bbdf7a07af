"""What tools/metrics.py makes of the table: the page, the alerts and the dashboard."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from koordnri.observe.metric_table import TABLE
from tools import metrics
from tools.check_docs import anchor, headings

LAB_DIR = Path(os.environ.get("KOORDNRI_LAB_DIR") or metrics.ROOT / ".cache" / "lab")
RULES = metrics.ROOT / "helm/koordnri/files/alerts.yaml"
OF_EVERY_SERIES = {"job", "instance", "node", "le"}
"""Labels that Prometheus, our monitors or a histogram add."""


def queries() -> list[str]:
    """All queries of the dashboard and the alerts."""
    panels = [target["expr"] for panel in metrics.dashboard()["panels"] for target in panel.get("targets", ())]
    return [*panels, *(alert.expr for _, alert in metrics.alerts())]


def test_the_files_of_this_checkout_are_those_that_are_made() -> None:
    assert [str(path) for path, text in metrics.files().items() if path.read_text() != text] == []


def test_a_page_without_a_place_for_the_tables_is_refused() -> None:
    with pytest.raises(SystemExit, match="expected the lines"):
        metrics.page("# Metrics\n")


def test_the_page_has_a_row_for_every_metric() -> None:
    rows = re.findall(r"^\| `(koordnri_\w+)` \|", metrics.PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(row.sample for row in TABLE.values())


def test_every_runbook_link_is_a_heading_of_the_page() -> None:
    (group,) = metrics.rule_groups()["groups"]
    links = [rule["annotations"]["runbook_url"] for rule in group["rules"]]
    anchors = {anchor(heading) for heading in headings(metrics.PAGE.read_text())}
    assert len(set(links)) == len(links) > 10
    assert [link for link in links if link.partition("#")[2] not in anchors] == []
    assert {link.partition("#")[0] for link in links} == {str(metrics.PAGE.relative_to(metrics.ROOT))}


def test_an_alert_is_about_its_metric_and_says_what_that_means() -> None:
    for row, alert in metrics.alerts():
        assert row.sample in alert.expr
        assert row.meaning, row.name


def test_summaries_name_only_labels_that_their_series_have() -> None:
    for row, alert in metrics.alerts():
        assert set(re.findall(r"\$labels\.(\w+)", alert.summary)) <= set(row.labels), alert.name


@pytest.mark.parametrize("query", queries())
def test_queries_name_only_labels_that_their_metrics_have(query: str) -> None:
    inner = [name for braces in re.findall(r"\{([^}]*)\}", query) for name in re.findall(r"(\w+)\s*[!=]~?", braces)]
    outer = [name.strip() for listed in re.findall(r"\b(?:by|on) \(([^)]*)\)", query) for name in listed.split(",")]
    known = {label for row in TABLE.values() if row.name in query for label in row.labels}
    assert {*inner, *outer} <= known | OF_EVERY_SERIES


def test_panels_have_a_place_and_a_number_of_their_own() -> None:
    panels = metrics.dashboard()["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_every_query_of_the_dashboard_is_for_the_chosen_nodes() -> None:
    for panel in metrics.dashboard()["panels"]:
        for target in panel.get("targets", ()):
            names = re.findall(r"\b(?:koordnri|process)_\w+", target["expr"])
            assert target["expr"].count(metrics.SELECTOR) == len(names) > 0


@pytest.fixture(scope="module")
def promtool() -> str:
    """The path of promtool."""
    built = LAB_DIR / "bin" / "promtool"
    found = str(built) if built.exists() else shutil.which("promtool")
    if found is None:
        pytest.skip(f"no promtool: neither {built} (tools/lab_promtool.py fetches it) nor on PATH")
    return found


def run(promtool: str, *arguments: str) -> None:
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.full
def test_promtool_takes_the_alerts(promtool: str) -> None:
    run(promtool, "check", "rules", "--lint-fatal", str(RULES))


@pytest.mark.full
def test_promtool_takes_the_dashboards_queries(promtool: str, tmp_path: Path) -> None:
    """As recording rules, with Grafana's variables replaced."""
    plain = [query.replace("$__rate_interval", "5m").replace("$node", ".*") for query in queries()]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(plain)]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    run(promtool, "check", "rules", str(path))


def fired(alert: str, at: str, **labels: str) -> dict[str, Any]:
    """A test of promtool: this alert fires at this time, or, without labels, does not."""
    (rule,) = [rule for group in metrics.rule_groups()["groups"] for rule in group["rules"] if rule["alert"] == alert]
    texts = rule["annotations"] | {
        "summary": re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda m: labels.get(m[1], ""), rule["annotations"]["summary"])
    }
    expected = [{"exp_labels": {**rule["labels"], **labels}, "exp_annotations": texts}] if labels else []
    return {"alertname": alert, "eval_time": at, "exp_alerts": expected}


BUG = {"where": "plan", "instance": "a"}


@pytest.mark.full
def test_alerts_fire_and_end_when_they_should(promtool: str, tmp_path: Path) -> None:
    """A counter's first count is found, too: its series begins with it."""
    tests = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": 'koordnri_contained_faults_total{where="plan", instance="a"}', "values": "_x9 1x200"},
                    {"series": 'koordnri_connected{instance="a"}', "values": "1x9 0x9 1x200"},
                ],
                "alert_rule_test": [
                    fired("KoordnriBug", "5m"),
                    fired("KoordnriBug", "15m", **BUG),
                    fired("KoordnriBug", "2h"),
                    fired("KoordnriDisconnected", "12m"),
                    fired("KoordnriDisconnected", "17m", instance="a"),
                    fired("KoordnriDisconnected", "30m"),
                ],
            },
            {
                "interval": "1m",
                "input_series": [
                    {"series": 'koordnri_contained_faults_total{where="plan", instance="a"}', "values": "1x99 2x99"},
                ],
                "alert_rule_test": [fired("KoordnriBug", "95m"), fired("KoordnriBug", "105m", **BUG)],
            },
        ],
    }
    path = tmp_path / "tests.yaml"
    path.write_text(yaml.safe_dump(tests))
    run(promtool, "test", "rules", str(path))
