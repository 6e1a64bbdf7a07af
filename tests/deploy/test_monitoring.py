"""Monitors, alerts and dashboard: off by default, and the same from the chart and from deploy/."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import kustomize

Manifest = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]
PARTS = {
    "alerts": "prometheusRule",
    "dashboard": "dashboard",
    "service-monitor": "serviceMonitor",
    "pod-monitor": "podMonitor",
}
"""folder of deploy/monitoring → switch of the chart"""
HELMS = {"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"}


def added(root: Path, part: str) -> Manifest:
    """The one object that a component adds."""
    before = kustomize.build(root / "deploy")
    *same, new = kustomize.with_component(root / "deploy", root / "deploy/monitoring" / part)
    assert same == before
    return new


def rendered(helm: Helm, *arguments: str) -> list[Manifest]:
    done = helm("template", *arguments)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def switched_on(helm: Helm, part: str, *more: str) -> Manifest:
    """The one object that a switch of the chart adds."""
    before = rendered(helm)
    (new,) = [m for m in rendered(helm, f"--set=metrics.{PARTS[part]}.enabled=true", *more) if m not in before]
    return new


@pytest.mark.parametrize("part", PARTS)
def test_the_chart_adds_what_the_component_adds(root: Path, helm: Helm, part: str) -> None:
    new = copy.deepcopy(switched_on(helm, part))
    for label in HELMS:
        del new["metadata"]["labels"][label]
    assert new == added(root, part)


@pytest.mark.parametrize("part", PARTS)
def test_labels_for_selectors_are_added(helm: Helm, part: str) -> None:
    assert switched_on(helm, part, "--set=metrics.labels.release=stack")["metadata"]["labels"]["release"] == "stack"


@pytest.mark.parametrize(("part", "port"), [("service-monitor", "endpoints"), ("pod-monitor", "podMetricsEndpoints")])
def test_monitors_select_what_is_there(root: Path, kustomized: dict[str, Manifest], part: str, port: str) -> None:
    monitor = added(root, part)
    if part == "service-monitor":
        there, ports = kustomized["Service"]["metadata"]["labels"], kustomized["Service"]["spec"]["ports"]
    else:
        pod = kustomized["DaemonSet"]["spec"]["template"]
        there, ports = pod["metadata"]["labels"], pod["spec"]["containers"][0]["ports"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= there.items()
    assert [endpoint["port"] for endpoint in monitor["spec"][port]] == ["metrics"]
    assert "metrics" in {each["name"] for each in ports}
    (relabeling,) = monitor["spec"][port][0]["relabelings"]
    assert relabeling == {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}
    assert monitor["metadata"]["namespace"] == kustomized["Service"]["metadata"]["namespace"]


@pytest.mark.parametrize(("part", "port"), [("service-monitor", "endpoints"), ("pod-monitor", "podMetricsEndpoints")])
def test_monitors_follow_tls_and_token(helm: Helm, part: str, port: str) -> None:
    def endpoint(values: str) -> Manifest:
        switch = f"--set=metrics.{PARTS[part]}.enabled=true"
        (monitor,) = [m for m in rendered(helm, switch, f"--set={values}") if m["kind"].endswith("Monitor")]
        (one,) = monitor["spec"][port]
        return {key: one[key] for key in one.keys() - {"port", "relabelings"}}

    assert endpoint("metrics.token.secretName=scrape,metrics.token.key=t") == {
        "authorization": {"credentials": {"name": "scrape", "key": "t"}}
    }
    assert endpoint("metrics.tls.secretName=tls") == {"scheme": "https", "tlsConfig": {"insecureSkipVerify": True}}
    assert endpoint("metrics.tls.secretName=tls,metrics.tls.serverName=koordnri.example") == {
        "scheme": "https",
        "tlsConfig": {"ca": {"secret": {"name": "tls", "key": "ca.crt"}}, "serverName": "koordnri.example"},
    }


def test_the_dashboard_in_the_config_map_is_the_file_that_grafana_imports(root: Path) -> None:
    config_map = added(root, "dashboard")
    file = json.loads((root / "helm/koordnri/files/dashboard.json").read_text())
    assert json.loads(config_map["data"]["koordnri.json"]) == file
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_rule_is_the_rule_file_of_prometheus(root: Path) -> None:
    assert added(root, "alerts")["spec"] == yaml.safe_load((root / "helm/koordnri/files/alerts.yaml").read_text())


def test_runbook_links_go_where_the_page_is_served(helm: Helm) -> None:
    rule = switched_on(helm, "alerts", "--set=metrics.prometheusRule.runbook=https://docs.example/metrics.html")
    links = [each["annotations"]["runbook_url"] for each in rule["spec"]["groups"][0]["rules"]]
    assert all(link.startswith("https://docs.example/metrics.html#koordnri") for link in links)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true", "got both"),
        ("metrics.serviceMonitor.enabled=true,metrics.service.enabled=false", "set metrics.service.enabled to true"),
        ("metrics.podMonitor=true", "metrics/podMonitor"),
        ("metrics.prometheusRule.runbook=", "metrics/prometheusRule/runbook"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(helm: Helm, values: str, expected: str) -> None:
    done = helm("template", f"--set={values}")
    assert done.returncode != 0
    assert expected in done.stderr
