"""The DaemonSet and what it needs: valid for every Kubernetes we name, with no more rights than the daemon uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

Manifest = dict[str, Any]

# The oldest the chart admits, some between, and the newest the validator has schemas for.
KUBERNETES = ["1.25", "1.28", "1.32", kubernetes_validate.latest_version()]


def pod_spec(objects: dict[str, Manifest]) -> Manifest:
    spec: Manifest = objects["DaemonSet"]["spec"]["template"]["spec"]
    return spec


def container(objects: dict[str, Manifest]) -> Manifest:
    (only,) = pod_spec(objects)["containers"]
    assert isinstance(only, dict)
    return only


def argument(objects: dict[str, Manifest], flag: str) -> str:
    (value,) = [a.partition("=")[2] for a in container(objects)["args"] if a.startswith(f"--{flag}=")]
    assert isinstance(value, str)
    return value


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_valid_with_no_unknown_field(kustomized: dict[str, Manifest], version: str) -> None:
    for manifest in kustomized.values():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_validator_refuses_a_misspelt_field(kustomized: dict[str, Manifest]) -> None:
    broken = {**kustomized["Service"], "specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES[-1], strict=True)


def test_kustomization_lists_every_file(root: Path) -> None:
    listed = yaml.safe_load((root / "deploy/kustomization.yaml").read_text())["resources"]
    there = {p.name for p in (root / "deploy").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed) == there


def test_all_objects_live_in_one_namespace(kustomized: dict[str, Manifest]) -> None:
    name = kustomized["Namespace"]["metadata"]["name"]
    assert {m["metadata"]["namespace"] for kind, m in kustomized.items() if kind != "Namespace"} == {name}


def test_the_socket_directory_is_mounted_never_the_socket(kustomized: dict[str, Manifest]) -> None:
    volumes = {v["name"]: v for v in pod_spec(kustomized)["volumes"]}
    mounts = {m["name"]: m for m in container(kustomized)["volumeMounts"]}
    assert volumes["nri"]["hostPath"] == {"path": "/var/run/nri", "type": "DirectoryOrCreate"}
    assert not [v for v in volumes.values() if v.get("hostPath", {}).get("path", "").endswith(".sock")]
    assert Path(argument(kustomized, "nri-socket")).parent == Path(mounts["nri"]["mountPath"])


def test_no_two_daemons_on_a_node_during_a_roll_out(kustomized: dict[str, Manifest]) -> None:
    strategy = kustomized["DaemonSet"]["spec"]["updateStrategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}}


def test_root_without_any_of_its_powers(kustomized: dict[str, Manifest]) -> None:
    assert container(kustomized)["securityContext"] == {
        "runAsUser": 0,
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec = pod_spec(kustomized)
    assert not [k for k in ("hostNetwork", "hostPID", "hostIPC") if spec.get(k)]


def test_the_host_is_mounted_read_only_but_for_cgroups_and_our_state(kustomized: dict[str, Manifest]) -> None:
    writable = {m["name"]: m["mountPath"] for m in container(kustomized)["volumeMounts"] if not m.get("readOnly")}
    assert writable == {"cgroup": "/host/sys/fs/cgroup", "state": "/var/lib/koordnri"}


def test_no_access_to_the_api_server(kustomized: dict[str, Manifest]) -> None:
    assert pod_spec(kustomized)["automountServiceAccountToken"] is False
    assert kustomized["ServiceAccount"]["automountServiceAccountToken"] is False
    assert not [kind for kind in kustomized if "Role" in kind]


def test_no_cpu_limit_that_could_throttle_an_answer(kustomized: dict[str, Manifest]) -> None:
    assert container(kustomized)["resources"]["limits"] == {"memory": "128Mi"}


def test_runs_on_every_node_before_anything_else(kustomized: dict[str, Manifest]) -> None:
    spec = pod_spec(kustomized)
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["priorityClassName"] == "system-node-critical"


def test_the_policy_is_one_file_of_the_mounted_config_map(kustomized: dict[str, Manifest]) -> None:
    volumes = {v["name"]: v for v in pod_spec(kustomized)["volumes"]}
    (mount,) = [m for m in container(kustomized)["volumeMounts"] if m["name"] == "policy"]
    config_map = kustomized["ConfigMap"]
    assert volumes["policy"]["configMap"]["name"] == config_map["metadata"]["name"]
    assert "subPath" not in mount, "kubelet never updates a subPath mount"
    policy_file = Path(argument(kustomized, "policy-file"))
    assert policy_file.parent == Path(mount["mountPath"])
    assert policy_file.name in config_map["data"]


def test_each_mount_has_its_volume_and_each_argument_its_mount(kustomized: dict[str, Manifest]) -> None:
    mounts = container(kustomized)["volumeMounts"]
    assert {m["name"] for m in mounts} == {v["name"] for v in pod_spec(kustomized)["volumes"]}
    paths = {m["mountPath"] for m in mounts}
    host_root = argument(kustomized, "host-root")
    assert {argument(kustomized, "state-dir"), f"{host_root}/sys", f"{host_root}/proc"} <= paths


def test_service_and_probes_meet_the_listening_port(kustomized: dict[str, Manifest]) -> None:
    (port,) = container(kustomized)["ports"]
    host, _, listen = argument(kustomized, "listen").rpartition(":")
    assert (host, int(listen)) == ("0.0.0.0", port["containerPort"])
    (service_port,) = kustomized["Service"]["spec"]["ports"]
    assert service_port["targetPort"] == port["name"]
    assert service_port["port"] == port["containerPort"]
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert container(kustomized)[probe]["httpGet"] == {"path": path, "port": port["name"]}


def test_service_is_headless_and_selects_our_pods(kustomized: dict[str, Manifest]) -> None:
    service = kustomized["Service"]["spec"]
    labels = kustomized["DaemonSet"]["spec"]["template"]["metadata"]["labels"]
    assert service["clusterIP"] == "None"
    assert service["selector"].items() <= labels.items()
    assert kustomized["DaemonSet"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
