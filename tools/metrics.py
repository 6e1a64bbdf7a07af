"""Make what people see of the metrics from the table in koordnri/observe/metric_table.py.

tools/metrics.py           write the tables of docs/use/metrics.md, the alerts and the dashboard (helm/koordnri/files, deploy/monitoring)
tools/metrics.py --check   write nothing; end with 1 where one of them is not what it would write
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from koordnri.observe.metric import Alert, MetricRow
from koordnri.observe.metric_table import TABLE, TOPICS
from tools.made_files import keep

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/use/metrics.md"
BEGIN, END = "<!-- metrics: made by tools/metrics.py -->", "<!-- end of metrics -->"
RUNBOOK = "docs/use/metrics.md"
"""Where the page on the alerts is; the chart puts its value in this place."""
NAMESPACE, LABELS = "koordnri-system", {"app.kubernetes.io/name": "koordnri"}
NOTE = "# Made by tools/metrics.py from koordnri/observe/metric_table.py; edit that one.\n"


def alerts() -> list[tuple[MetricRow, Alert]]:
    """The rows that have an alert, in the order of the table."""
    return [(row, row.alert) for row in TABLE.values() if row.alert is not None]


# --- docs/use/metrics.md


def page_tables() -> str:
    """All metrics by topic, then each alert under a heading of its own, which its runbook link names."""
    lines = [BEGIN, "", "## All metrics", ""]
    for topic, rows in TOPICS.items():
        lines += [f"### {topic}", "", "| metric | type | labels | value |", "|---|---|---|---|"]
        lines += [_row(row) for row in rows]
        lines.append("")
    lines += ["## Alerts", ""]
    for row, alert in alerts():
        lines += [f"### {alert.name}", "", *_explained(row, alert), ""]
    return "\n".join([*lines, END])


def _row(row: MetricRow) -> str:
    labels = ", ".join(f"`{label}`" for label in row.labels)
    texts = [_sentence(row.help), row.meaning]
    if row.alert is not None:
        texts = [_sentence(row.help), f"Alert: [{row.alert.name}](#{row.alert.name.lower()})."]
    kind = f"{row.type}, {row.unit}" if row.unit else row.type
    return f"| `{row.sample}` | {kind} | {labels} | {' '.join(filter(None, texts))} |"


def _sentence(text: str) -> str:
    return text.rstrip(".") + "."


def _explained(row: MetricRow, alert: Alert) -> list[str]:
    hold = "at once" if alert.hold == "0m" else f"after {alert.hold}"
    return [f"*{alert.severity}*, {hold}. {row.meaning}", "", "```promql", alert.expr, "```"]


def page(before: str) -> str:
    """The page with new tables. Raises SystemExit where the page has no place for them."""
    if BEGIN not in before or END not in before:
        raise SystemExit(f"{PAGE}: expected the lines {BEGIN!r} and {END!r} around the tables")
    return before[: before.index(BEGIN)] + page_tables() + before[before.index(END) + len(END) :]


# --- the alerts


def rule_groups() -> dict[str, Any]:
    """A rule file of Prometheus, which is also the `spec` of a PrometheusRule."""
    return {"groups": [{"name": "koordnri", "rules": [_rule(alert) for _, alert in alerts()]}]}


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.hold,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "runbook_url": f"{RUNBOOK}#{alert.name.lower()}"},
    }


# --- the dashboard


class Panel(NamedTuple):
    """One picture. `{}` in a query is replaced by the selector of nodes.

    kind    of Grafana: stat or timeseries
    queries PromQL → legend
    """

    title: str
    kind: str
    unit: str
    queries: dict[str, str]


WAIT = "[$__rate_interval]"
OURS = " and on (job, instance) koordnri_connected{}"
PANELS: dict[str, tuple[Panel, ...]] = {
    "Now": (
        Panel("Nodes connected", "stat", "short", {"sum(koordnri_connected{})": ""}),
        Panel("Nodes not connected", "stat", "short", {"sum(koordnri_connected{} == bool 0)": ""}),
        Panel("Nodes that refuse the newest policy", "stat", "short", {"sum(koordnri_policy_good{} == bool 0)": ""}),
        Panel("Violations", "stat", "short", {"sum(koordnri_violations{})": ""}),
        Panel(
            "Nodes per policy", "timeseries", "short", {"count by (revision) (koordnri_policy_info{})": "{{revision}}"}
        ),
        Panel(
            "Nodes per version", "timeseries", "short", {"count by (version) (koordnri_build_info{})": "{{version}}"}
        ),
        Panel("Violations by kind", "timeseries", "short", {"sum by (kind) (koordnri_violations{}) > 0": "{{kind}}"}),
    ),
    "Decisions": (
        Panel("CPUs", "timeseries", "short", {"sum by (kind) (koordnri_cpus{})": "{{kind}}"}),
        Panel(
            "Pods and containers",
            "timeseries",
            "short",
            {
                "sum(koordnri_pods{})": "pods",
                "sum(koordnri_containers{})": "containers",
                "sum(koordnri_released_pods{})": "released pods",
            },
        ),
        Panel(
            "Held back by CPU quotas",
            "timeseries",
            "s",
            {f"sum by (qos) (rate(koordnri_throttled_seconds_total{{}}{WAIT}))": "{{qos}}"},
        ),
        Panel(
            "Waiting for a CPU",
            "timeseries",
            "s",
            {f"sum by (qos) (rate(koordnri_waiting_seconds_total{{}}{WAIT}))": "{{qos}}"},
        ),
        Panel(
            "Requests of the runtime",
            "timeseries",
            "reqps",
            {f"sum by (outcome) (rate(koordnri_events_total{{}}{WAIT}))": "{{outcome}}"},
        ),
        Panel(
            "Time of a hook, 99th percentile",
            "timeseries",
            "s",
            {
                f"histogram_quantile(0.99, sum by (le, hook) (rate(koordnri_hook_duration_seconds_bucket{{}}{WAIT})))": "{{hook}}"
            },
        ),
        Panel(
            "Hook errors",
            "timeseries",
            "short",
            {f"sum by (hook, fault) (rate(koordnri_hook_errors_total{{}}{WAIT}))": "{{hook}}: {{fault}}"},
        ),
    ),
    "Running containers": (
        Panel(
            "From a change to the last file read back",
            "timeseries",
            "s",
            {"max by (node) (koordnri_change_to_verified_seconds{})": "{{node}}"},
        ),
        Panel(
            "Files written",
            "timeseries",
            "wps",
            {f"sum by (outcome) (rate(koordnri_writes_total{{}}{WAIT}))": "{{outcome}}"},
        ),
        Panel(
            "Files that others wrote",
            "timeseries",
            "short",
            {f"sum by (field, by) (rate(koordnri_drift_healed_total{{}}{WAIT}))": "{{field}} by {{by}}"},
        ),
        Panel(
            "Values that cannot be set",
            "timeseries",
            "short",
            {f"sum by (field, reason) (rate(koordnri_apply_failures_total{{}}{WAIT}))": "{{field}}: {{reason}}"},
        ),
        Panel(
            "Containers not recorded",
            "timeseries",
            "short",
            {"sum by (node) (koordnri_unrecorded_containers{})": "{{node}}"},
        ),
    ),
    "Cache and memory bandwidth": (
        Panel("Cache in use", "timeseries", "bytes", {"sum by (qos) (koordnri_resctrl_occupancy_bytes{})": "{{qos}}"}),
        Panel(
            "Memory traffic",
            "timeseries",
            "Bps",
            {f"sum by (qos, kind) (rate(koordnri_resctrl_memory_bytes_total{{}}{WAIT}))": "{{qos}} {{kind}}"},
        ),
    ),
    "The daemon itself": (
        Panel("Memory", "timeseries", "bytes", {f"process_resident_memory_bytes{{}}{OURS}": "{{node}}"}),
        Panel("CPU", "timeseries", "percentunit", {f"rate(process_cpu_seconds_total{{}}{WAIT}){OURS}": "{{node}}"}),
        Panel(
            "Bugs contained",
            "timeseries",
            "short",
            {"sum by (where) (koordnri_contained_faults_total{})": "{{where}}"},
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """A dashboard as Grafana imports it."""
    return {
        "uid": "koordnri",
        "title": "koordnri",
        "description": "Made by tools/metrics.py of koordnri.",
        "schemaVersion": 39,
        "tags": ["koordnri", "kubernetes"],
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "templating": {"list": [_datasource(), _nodes()]},
        "panels": list(_panels()),
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}


def _nodes() -> dict[str, Any]:
    return {
        "name": "node",
        "type": "query",
        "label": "Node",
        "datasource": SOURCE,
        "query": "label_values(koordnri_connected, node)",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
    }


SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SELECTOR = '{node=~"$node"}'
SIZES = {"stat": (6, 4), "timeseries": (8, 8)}
"""kind → width and height; a dashboard is 24 wide"""


def _panels() -> Iterator[dict[str, Any]]:
    number = y = 0
    for title, panels in PANELS.items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": _place(0, y, 24, 1),
            "panels": [],
        }
        x, y, height = 0, y + 1, 0
        for panel in panels:
            width, own = SIZES[panel.kind]
            if x + width > 24 or (height and own != height):
                x, y = 0, y + height
            number, height = number + 1, own
            yield _panel(number, panel, _place(x, y, width, height))
            x += width
        y += height


def _place(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + n),
            "datasource": SOURCE,
            "expr": expr.replace("{}", SELECTOR),
            "legendFormat": legend,
        }
        for n, (expr, legend) in enumerate(panel.queries.items())
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }


# --- the files


def files() -> dict[Path, str]:
    """Path → what it is to hold."""
    rules = NOTE + yaml.safe_dump(rule_groups(), sort_keys=False, width=200)
    picture = json.dumps(dashboard(), indent=1) + "\n"
    return {
        PAGE: page(PAGE.read_text()),
        ROOT / "helm/koordnri/files/alerts.yaml": rules,
        ROOT / "deploy/monitoring/alerts/prometheusrule.yaml": NOTE
        + _head("monitoring.coreos.com/v1", "PrometheusRule", "koordnri")
        + "spec:\n"
        + textwrap.indent(rules.removeprefix(NOTE), "  "),
        ROOT / "helm/koordnri/files/dashboard.json": picture,
        ROOT / "deploy/monitoring/dashboard/configmap.yaml": NOTE
        + _head("v1", "ConfigMap", "koordnri-dashboard", grafana_dashboard="1")
        + "data:\n  koordnri.json: |\n"
        + textwrap.indent(picture, "    "),
    }


def _head(version: str, kind: str, name: str, **labels: str) -> str:
    meta = {"name": name, "namespace": NAMESPACE, "labels": {**LABELS, **labels}}
    return yaml.safe_dump({"apiVersion": version, "kind": kind, "metadata": meta}, sort_keys=False)


def main() -> int:
    """Return the exit code."""
    return keep(files(), "koordnri/observe/metric_table.py", "tools/metrics.py")


if __name__ == "__main__":
    sys.exit(main())
