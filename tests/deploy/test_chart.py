"""The chart gives the same objects as deploy/, and refuses values that would break a node."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

Manifest = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]

HELM_LABELS = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}


def render(helm: Helm, *arguments: str) -> dict[str, Manifest]:
    done = helm("template", *arguments)
    assert done.returncode == 0, done.stderr
    return {m["kind"]: m for m in yaml.safe_load_all(done.stdout) if m}


def without_helm_labels(manifest: Manifest) -> Manifest:
    plain = copy.deepcopy(manifest)
    labels = plain["metadata"]["labels"]
    for label in HELM_LABELS:
        del labels[label]
    return plain


def test_default_values_give_the_objects_of_deploy(helm: Helm, kustomized: dict[str, Manifest]) -> None:
    rendered = {kind: without_helm_labels(m) for kind, m in render(helm).items()}
    # A chart does not own its namespace: `helm install --create-namespace` makes it.
    assert rendered == {kind: m for kind, m in kustomized.items() if kind != "Namespace"}


@pytest.mark.parametrize("version", ["1.25", "1.28", "1.32", kubernetes_validate.latest_version()])
def test_rendered_objects_are_valid(helm: Helm, version: str) -> None:
    everything = (
        "--set=nriSocketDir=/run/nri,pluginIndex=05,log.level=debug,log.format=console,maxUnavailable=2",
        "--set=imagePullSecrets[0].name=registry,podAnnotations.a=b,metrics.service.annotations.c=d,metrics.port=9400",
    )
    for arguments in ((), everything):
        for manifest in render(helm, *arguments).values():
            kubernetes_validate.validate(manifest, version, strict=True)


def test_policy_becomes_the_policy_file(helm: Helm) -> None:
    rendered = render(helm, "--set=policy.resource-qos-config.clusterStrategy.beClass.memoryQOS.enable=true")
    policy = yaml.safe_load(rendered["ConfigMap"]["data"]["policy.yaml"])
    assert policy == {"resource-qos-config": {"clusterStrategy": {"beClass": {"memoryQOS": {"enable": True}}}}}


def test_values_reach_the_container(helm: Helm) -> None:
    rendered = render(
        helm,
        "--set=image.repository=registry.example/koordnri,image.tag=1.2.3,nriSocketDir=/run/nri,pluginIndex=05",
        "--set=metrics.port=9400,log.level=debug,stateDir=/opt/state,resources.limits.memory=256Mi",
    )
    spec = rendered["DaemonSet"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "registry.example/koordnri:1.2.3"
    assert {"--plugin-index=05", "--listen=0.0.0.0:9400", "--log-level=debug"} <= set(container["args"])
    assert container["ports"][0]["containerPort"] == 9400
    assert container["resources"]["limits"]["memory"] == "256Mi"
    paths = {v["name"]: v.get("hostPath", {}).get("path") for v in spec["volumes"]}
    assert (paths["nri"], paths["state"]) == ("/run/nri", "/opt/state")
    assert rendered["Service"]["spec"]["ports"][0]["port"] == 9400


def test_metrics_service_can_be_left_out(helm: Helm) -> None:
    assert "Service" not in render(helm, "--set=metrics.service.enabled=false")


@pytest.mark.parametrize(
    ("setting", "where"),
    [
        ("--set=nriSocketDir=/var/run/nri/nri.sock", "nriSocketDir"),
        ("--set=nriSocketDir=var/run/nri", "nriSocketDir"),
        ("--set-string=pluginIndex=5", "pluginIndex"),
        ("--set=maxUnavailable=0", "maxUnavailable"),
        ("--set=maxUnavailable=0%", "maxUnavailable"),
        ("--set=log.level=loud", "log/level"),
        ("--set=metrics.port=0", "metrics/port"),
        ("--set=policy=text", "policy"),
        ("--set=nriSocket=/x", "nriSocket"),
    ],
)
def test_bad_values_are_refused_by_name(helm: Helm, setting: str, where: str) -> None:
    done = helm("template", setting)
    assert done.returncode != 0
    assert where in done.stderr


def test_lint_finds_nothing(helm: Helm) -> None:
    done = helm("lint", "--strict")
    assert done.returncode == 0, done.stdout + done.stderr


def test_chart_and_package_have_one_version(root: Path) -> None:
    chart = yaml.safe_load((root / "helm/koordnri/Chart.yaml").read_text())
    kustomization = yaml.safe_load((root / "deploy/kustomization.yaml").read_text())
    pyproject = (root / "pyproject.toml").read_text()
    assert f'\nversion = "{chart["appVersion"]}"\n' in pyproject
    assert kustomization["images"][0]["newTag"] == chart["appVersion"] == chart["version"]
