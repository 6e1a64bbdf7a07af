"""The chart gives the same objects as deploy/, and refuses values that would break a node."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import kubernetes_validate
import pytest
import yaml

from koordnri.policy import load_data
from koordnri.policy.koordnri_config import RecordRoute

Manifest = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]

BLOCK = {"name": "/dev/nvme0n1", "ioCfg": {"readBPS": 104857600}}
ROUTES: tuple[str, ...] = get_args(RecordRoute)
HELM_LABELS = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}


def render_all(helm: Helm, *arguments: str) -> list[Manifest]:
    done = helm("template", *arguments)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def render(helm: Helm, *arguments: str) -> dict[str, Manifest]:
    """Kind → object, without those of hooks: they are there for a moment only."""
    rendered = render_all(helm, *arguments)
    return {m["kind"]: m for m in rendered if "helm.sh/hook" not in m["metadata"].get("annotations", {})}


def without_helm_labels(manifest: Manifest) -> Manifest:
    plain = copy.deepcopy(manifest)
    labels = plain["metadata"]["labels"]
    for label in HELM_LABELS:
        del labels[label]
    return plain


@pytest.mark.parametrize(
    ("arguments", "built"),
    [
        ((), "kustomized"),
        (("--set=apiAccess.enabled=false",), "kustomized_base"),
        (("--set=apiAccess.policyConfigMap=koordinator-system/slo-controller-config",), "kustomized_koordinator"),
        (("--set=resctrl.enabled=true",), "kustomized_resctrl"),
        (("--set=apiAccess.annotateNode=true",), "kustomized_annotation"),
        (("--set=apiAccess.publishTopology=true",), "kustomized_topology"),
        (("--set=apiAccess.watchNamespaces=true",), "kustomized_namespaces"),
        (("--set=apiAccess.evictPods=true",), "kustomized_eviction"),
    ],
    ids=[
        "deploy",
        "deploy/base",
        "deploy/koordinator",
        "deploy with resctrl",
        "deploy with node-annotation",
        "deploy with topology",
        "deploy with namespaces",
        "deploy with eviction",
    ],
)
def test_the_chart_gives_the_objects_of_the_manifests(
    request: pytest.FixtureRequest, helm: Helm, arguments: tuple[str, ...], built: str
) -> None:
    rendered = {kind: without_helm_labels(m) for kind, m in render(helm, *arguments).items()}
    # A chart does not own its namespace: `helm install --create-namespace` makes it.
    assert rendered == {kind: m for kind, m in request.getfixturevalue(built).items() if kind != "Namespace"}


@pytest.mark.parametrize("version", ["1.25", "1.28", "1.32", kubernetes_validate.latest_version()])
def test_rendered_objects_are_valid(helm: Helm, version: str) -> None:
    everything = (
        "--set=nriSocketDir=/run/nri,pluginIndex=05,log.level=debug,log.format=console,maxUnavailable=2",
        "--set=imagePullSecrets[0].name=registry,podAnnotations.a=b,metrics.service.annotations.c=d,metrics.port=9400,health.port=9401",
    )
    switches = (
        "apiAccess.enabled=false",
        "apiAccess.annotateNode=true",
        "apiAccess.publishTopology=true",
        "apiAccess.watchNamespaces=true",
        "apiAccess.evictPods=true",
        "resctrl.enabled=true",
        "doctor.initContainer=true",
        "page.enabled=true",
        "release.onDelete=true",
        "history=memory",
        "landlock=off",
        "seccompProfile=Localhost",
        "writableCgroups={/sys/fs/cgroup/kubepods.slice}",
        "write={processes,sysctls,interrupts,terway}",
        "metrics.tls.secretName=a,metrics.token.secretName=b",
        "networkPolicy.scrapers=null",
        "kubeletDir=",
    )
    for arguments in ((), everything, *((f"--set={switch}",) for switch in switches)):
        for manifest in render_all(helm, f"--kube-version={version}", *arguments):
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_policys_keys_become_the_config_maps(helm: Helm, tmp_path: Path) -> None:
    """A mapping or a text; large numbers stay whole."""
    text = '{"enable": true}'
    mapping = {"clusterStrategy": {"beClass": {"blkioQOS": {"enable": True, "blocks": [BLOCK]}}}}
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"policy": {"cpu-normalization-config": text, "resource-qos-config": mapping}}))
    data = render(helm, f"--values={values}")["ConfigMap"]["data"]
    assert data["cpu-normalization-config"] == text
    assert yaml.safe_load(data["resource-qos-config"]) == mapping
    assert load_data(data, "").warnings == ()


def test_kubelets_other_directory_is_mounted_where_the_daemon_looks(helm: Helm) -> None:
    spec = render(helm, "--set=kubeletDir=/var/lib/k0s/kubelet")["DaemonSet"]["spec"]["template"]["spec"]
    paths = {v["name"]: v.get("hostPath", {}).get("path") for v in spec["volumes"]}
    mounts = {m["name"]: m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}
    assert paths["cpu-manager-state"] == "/var/lib/k0s/kubelet/cpu_manager_state"
    assert mounts["cpu-manager-state"] == "/host/var/lib/kubelet/cpu_manager_state"


def test_kubelets_state_can_be_left_out(helm: Helm) -> None:
    spec = render(helm, "--set=kubeletDir=")["DaemonSet"]["spec"]["template"]["spec"]
    names = {v["name"] for v in spec["volumes"]} | {m["name"] for m in spec["containers"][0]["volumeMounts"]}
    assert names == {"nri", "sys", "cgroup", "proc", "state"}


def test_doctor_runs_first_with_all_that_the_daemon_has(helm: Helm) -> None:
    spec = render(helm, "--set=doctor.initContainer=true")["DaemonSet"]["spec"]["template"]["spec"]
    (first,), (daemon,) = spec["initContainers"], spec["containers"]
    same = ("image", "imagePullPolicy", "env", "resources", "securityContext", "volumeMounts")
    assert {key: first[key] for key in same} == {key: daemon[key] for key in same}
    assert first.keys() - same == {"name", "command"}


@pytest.mark.parametrize(("code", "done"), [(0, 0), (1, 0), (2, 1)])
def test_an_error_of_doctor_holds_the_daemon_back_and_a_warning_does_not(
    helm: Helm, tmp_path: Path, code: int, done: int
) -> None:
    (first,) = render(helm, "--set=doctor.initContainer=true")["DaemonSet"]["spec"]["template"]["spec"][
        "initContainers"
    ]
    program = tmp_path / "koordnri"
    program.write_text(f'#!/bin/sh\n[ "$*" = doctor ] || exit 9\nexit {code}\n')
    program.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    assert subprocess.run(first["command"], env={"PATH": path}, check=False).returncode == done


@pytest.mark.parametrize(
    ("values", "page"),
    [
        ("page.port=1234", []),
        ("page.enabled=true", ["--page=127.0.0.1:9317"]),
        ("page.enabled=true,page.port=1234", ["--page=127.0.0.1:1234"]),
    ],
)
def test_the_page_is_off_and_never_beyond_the_pod(helm: Helm, values: str, page: list[str]) -> None:
    (container,) = render(helm, f"--set={values}")["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    assert [argument for argument in container["args"] if "page" in argument] == page
    assert [port["name"] for port in container["ports"]] == ["metrics", "health"]


def test_names_that_look_like_numbers_stay_names(helm: Helm) -> None:
    rendered = render(helm, "--set=apiAccess.policyConfigMap=1/2")
    assert rendered["Role"]["metadata"]["namespace"] == "1"
    assert rendered["Role"]["rules"][0]["resourceNames"] == ["2"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--set=apiAccess.policyConfigMap=a/b", "--set=apiAccess.enabled=false"), "set apiAccess.enabled to true"),
        (("--set=apiAccess.policyConfigMap=a/b", "--set=policy.system-config.x=y"), "got both"),
        (("--set=metrics.port=9318",), "metrics.port, health.port and page.port: expected three different ports"),
    ],
)
def test_values_that_contradict_each_other_are_refused(helm: Helm, arguments: tuple[str, ...], expected: str) -> None:
    done = helm("template", *arguments)
    assert done.returncode != 0
    assert expected in done.stderr


def test_values_reach_the_container(helm: Helm) -> None:
    rendered = render(
        helm,
        "--set=image.repository=registry.example/koordnri,image.tag=1.2.3,nriSocketDir=/run/nri,pluginIndex=05",
        "--set=metrics.port=9400,health.port=9401,log.level=debug,stateDir=/opt/state,resources.limits.memory=256Mi",
    )
    spec = rendered["DaemonSet"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "registry.example/koordnri:1.2.3"
    assert {"--plugin-index=05", "--log-level=debug"} <= set(container["args"])
    assert {"name": "KOORDNRI_LISTEN", "value": "0.0.0.0:9400"} in container["env"]
    assert {"name": "KOORDNRI_LISTEN_HEALTH", "value": "0.0.0.0:9401"} in container["env"]
    assert [port["containerPort"] for port in container["ports"]] == [9400, 9401]
    assert container["resources"]["limits"]["memory"] == "256Mi"
    paths = {v["name"]: v.get("hostPath", {}).get("path") for v in spec["volumes"]}
    assert (paths["nri"], paths["state"]) == ("/run/nri", "/opt/state")
    assert rendered["Service"]["spec"]["ports"][0]["port"] == 9400


def test_the_record_route_is_the_policys_unless_given(helm: Helm) -> None:
    def routes(*arguments: str) -> list[str]:
        (container,) = render(helm, *arguments)["DaemonSet"]["spec"]["template"]["spec"]["containers"]
        return [a for a in container["args"] if a.startswith("--record-route")]

    assert routes() == []
    for route in ROUTES:
        assert routes(f"--set=recordRoute={route}") == [f"--record-route={route}"]


@pytest.mark.parametrize(
    ("text", "passed"),
    [("disk", []), ("memory", ["--history=memory"]), ("off", ["--history=off"]), ('"off"', ["--history=off"])],
)
def test_the_history_is_kept_where_the_value_says(helm: Helm, tmp_path: Path, text: str, passed: list[str]) -> None:
    """From a file, for YAML reads a bare `off` as false."""
    values = tmp_path / "values.yaml"
    values.write_text(f"history: {text}\n")
    (container,) = render(helm, f"--values={values}")["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    assert [a for a in container["args"] if a.startswith("--history")] == passed


@pytest.mark.parametrize(("text", "passed"), [("auto", []), ("off", ["--landlock=off"]), ('"off"', ["--landlock=off"])])
def test_landlock_is_on_where_the_kernel_has_it_unless_switched_off(
    helm: Helm, tmp_path: Path, text: str, passed: list[str]
) -> None:
    """From a file, for YAML reads a bare `off` as false."""
    values = tmp_path / "values.yaml"
    values.write_text(f"landlock: {text}\n")
    (container,) = render(helm, f"--values={values}")["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    assert [a for a in container["args"] if a.startswith("--landlock")] == passed


def test_tls_and_token_come_from_secrets_that_only_root_reads(helm: Helm) -> None:
    values = "--set=metrics.tls.secretName=cert,metrics.token.secretName=scrape,metrics.token.key=t"
    spec = render(helm, values)["DaemonSet"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert [a for a in container["args"] if a.startswith("--listen-t")] == [
        "--listen-tls-cert=/etc/koordnri/tls/tls.crt",
        "--listen-tls-key=/etc/koordnri/tls/tls.key",
        "--listen-token-file=/etc/koordnri/token/t",
    ]
    mounts = {m["name"]: m for m in container["volumeMounts"]}
    assert mounts["tls"] == {"name": "tls", "mountPath": "/etc/koordnri/tls", "readOnly": True}
    assert mounts["token"] == {"name": "token", "mountPath": "/etc/koordnri/token", "readOnly": True}
    volumes = {v["name"]: v.get("secret") for v in spec["volumes"]}
    assert volumes["tls"] == {"secretName": "cert", "defaultMode": 0o400}
    assert volumes["token"] == {"secretName": "scrape", "defaultMode": 0o400}


def test_scrapers_are_admitted_as_the_values_say(helm: Helm) -> None:
    policy = render(helm, "--set=networkPolicy.scrapers[0].podSelector.matchLabels.app=prometheus")["NetworkPolicy"]
    assert policy["spec"]["ingress"][0]["from"] == [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]
    assert "ingress" not in render(helm, "--set=networkPolicy.scrapers=null")["NetworkPolicy"]["spec"]
    assert "NetworkPolicy" not in render(helm, "--set=networkPolicy.enabled=false")


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
        ("--set=policy.system-config=7", "policy/system-config"),
        ("--set=apiAccess.policyConfigMap=slo-controller-config", "apiAccess/policyConfigMap"),
        ("--set=apiAccess.policyConfigMap=a/b/c", "apiAccess/policyConfigMap"),
        ("--set=apiAccess.enable=true", "apiAccess"),
        ("--set=recordRoute=push", "recordRoute"),
        ("--set=kubeletDir=/var/lib/kubelet/", "kubeletDir"),
        ("--set=resctrl=true", "resctrl"),
        ("--set-string=apiAccess.annotateNode=true", "apiAccess/annotateNode"),
        ("--set-string=apiAccess.publishTopology=true", "apiAccess/publishTopology"),
        ("--set-string=apiAccess.watchNamespaces=true", "apiAccess/watchNamespaces"),
        ("--set-string=resctrl.enabled=false", "resctrl/enabled"),
        ("--set=nriSocket=/x", "nriSocket"),
        ("--set=doctor=true", "doctor"),
        ("--set=history=7", "history"),
        ("--set=history=true", "history"),
        ("--set=release.onDelete=yes", "release/onDelete"),
        ("--set=release.onUninstall=true", "onUninstall"),
        ("--set=resources.limit.memory=1Gi", "limit"),
        ("--set=tolerations[0].effects=NoSchedule", "effects"),
        ("--set=affinity.nodes=x", "nodes"),
        ("--set-string=page.port=9317", "page/port"),
        ("--set=image.repository=", "image/repository"),
        ("--set=image.pullPolicy=Sometimes", "image/pullPolicy"),
        ("--set=imagePullSecrets[0]=registry", "imagePullSecrets/0"),
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
    kustomization = yaml.safe_load((root / "deploy/base/kustomization.yaml").read_text())
    pyproject = (root / "pyproject.toml").read_text()
    assert f'\nversion = "{chart["appVersion"]}"\n' in pyproject
    assert kustomization["images"][0]["newTag"] == chart["appVersion"] == chart["version"]


def test_each_thing_that_the_daemon_may_write_takes_its_own_rights_and_no_other(helm: Helm) -> None:
    def rights(*arguments: str) -> tuple[set[str], set[str], list[str], bool]:
        """(options, writable mounts, capabilities, host's pids)"""
        spec = render(helm, *arguments)["DaemonSet"]["spec"]["template"]["spec"]
        (only,) = spec["containers"]
        writable = {m["mountPath"] for m in only["volumeMounts"] if not m.get("readOnly")}
        options = {a for a in only["args"] if a.startswith("--write")}
        return options, writable, only["securityContext"]["capabilities"].get("add", []), spec.get("hostPID", False)

    _, always, none, _ = rights()
    assert none == []
    for word, mounts, capabilities, pids in (
        ("processes", {"/host/proc"}, ["DAC_OVERRIDE", "SYS_RESOURCE"], True),
        ("sysctls", {"/host/proc/sys/vm"}, [], False),
        ("interrupts", {"/host/proc/irq"}, [], False),
        ("terway", {"/host/var/lib/terway/qos"}, [], False),
    ):
        assert rights(f"--set=write={{{word}}}") == ({f"--write={word}"}, always | mounts, capabilities, pids)
