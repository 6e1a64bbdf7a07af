"""The DaemonSet and what it needs: valid for every Kubernetes we name, with no more rights than the daemon uses."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from koordnri.cli.doctor import doctor
from koordnri.cli.run import run
from koordnri.policy import load_data, read_policy
from tests.deploy import kustomize

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
    """Given on the command line, or in the environment."""
    variable = f"KOORDNRI_{flag.upper().replace('-', '_')}"
    only = container(objects)
    (value,) = [
        *(a.partition("=")[2] for a in only["args"] if a.startswith(f"--{flag}=")),
        *(v["value"] for v in only["env"] if v["name"] == variable),
    ]
    assert isinstance(value, str)
    return value


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize(
    "built", ["kustomized", "kustomized_base", "kustomized_koordinator", "kustomized_resctrl", "kustomized_annotation"]
)
def test_every_manifest_is_valid_with_no_unknown_field(
    request: pytest.FixtureRequest, built: str, version: str
) -> None:
    for manifest in request.getfixturevalue(built).values():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_validator_refuses_a_misspelt_field(kustomized: dict[str, Manifest]) -> None:
    broken = {**kustomized["Service"], "specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES[-1], strict=True)


@pytest.mark.parametrize("version", KUBERNETES)
def test_so_is_every_manifest_for_verify(kustomized_verify: list[Manifest], version: str) -> None:
    for manifest in kustomized_verify:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("folder", ["base", "api-access", "verify"])
def test_kustomizations_list_every_file(root: Path, folder: str) -> None:
    listed = yaml.safe_load((root / "deploy" / folder / "kustomization.yaml").read_text())["resources"]
    there = {p.name for p in (root / "deploy" / folder).glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed) == there


def test_all_objects_live_in_one_namespace(kustomized: dict[str, Manifest]) -> None:
    name = kustomized["Namespace"]["metadata"]["name"]
    namespaced = {k: m for k, m in kustomized.items() if k != "Namespace" and not k.startswith("ClusterRole")}
    assert {m["metadata"]["namespace"] for m in namespaced.values()} == {name}


def test_access_to_the_api_server_changes_nothing_else(
    kustomized: dict[str, Manifest], kustomized_base: dict[str, Manifest]
) -> None:
    kept, base = copy.deepcopy(pod_spec(kustomized)), copy.deepcopy(pod_spec(kustomized_base))
    for spec, source in ((kept, "--policy-configmap"), (base, "--policy-file")):
        (only,) = spec["containers"]
        del spec["automountServiceAccountToken"]
        only["args"] = [a for a in only["args"] if not a.startswith(source)]
        only["volumeMounts"] = [m for m in only["volumeMounts"] if m["name"] != "policy"]
        spec["volumes"] = [v for v in spec["volumes"] if v["name"] != "policy"]
    assert kept == base
    assert all(kustomized[kind] == m for kind, m in kustomized_base.items() if kind != "DaemonSet")


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
    volumes = {v["name"]: v["hostPath"]["path"] for v in pod_spec(kustomized)["volumes"]}
    mounts = container(kustomized)["volumeMounts"]
    writable = {volumes[m["name"]]: m["mountPath"] for m in mounts if not m.get("readOnly")}
    assert writable == {"/sys/fs/cgroup": "/host/sys/fs/cgroup", "/var/lib/koordnri": "/var/lib/koordnri"}


def test_resctrl_takes_the_hosts_pids_its_own_mount_one_capability_and_nothing_else(
    kustomized: dict[str, Manifest], kustomized_resctrl: dict[str, Manifest]
) -> None:
    spec = copy.deepcopy(pod_spec(kustomized_resctrl))
    (only,) = spec["containers"]
    assert spec.pop("hostPID") is True, "thread ids of another pid namespace show as 0"
    # test_confinement shows what for.
    assert only["securityContext"]["capabilities"].pop("add") == ["DAC_OVERRIDE"]
    # Where koordnri.host looks for it; of /host/sys, which is read-only, the mount of its own covers this part.
    mount = {"name": "resctrl", "mountPath": "/host/sys/fs/resctrl", "mountPropagation": "HostToContainer"}
    assert only["volumeMounts"].pop() == mount
    # Never a type that makes it: in sysfs nobody can.
    assert spec["volumes"].pop() == {"name": "resctrl", "hostPath": {"path": "/sys/fs/resctrl", "type": "Directory"}}
    assert spec == pod_spec(kustomized)
    assert {k: m for k, m in kustomized_resctrl.items() if k != "DaemonSet"} == {
        k: m for k, m in kustomized.items() if k != "DaemonSet"
    }


@pytest.mark.parametrize("folder", ["deploy", "deploy/base", "deploy/koordinator"])
def test_the_component_goes_with_every_folder(root: Path, folder: str) -> None:
    objects = {m["kind"]: m for m in kustomize.with_component(root / folder, root / "deploy/resctrl")}
    assert pod_spec(objects)["hostPID"] is True


def test_the_daemon_finds_the_hosts_files_where_they_are_mounted(kustomized: dict[str, Manifest]) -> None:
    """Under --host-root each host path stands as it is on the host: `koordnri.host` knows no other way."""
    host_root = argument(kustomized, "host-root")
    volumes = {v["name"]: v["hostPath"]["path"] for v in pod_spec(kustomized)["volumes"]}
    mounted = {
        m["mountPath"].removeprefix(host_root): volumes[m["name"]]
        for m in container(kustomized)["volumeMounts"]
        if m["mountPath"].startswith(f"{host_root}/")
    }
    assert mounted == {p: p for p in ("/sys", "/sys/fs/cgroup", "/proc", "/var/lib/kubelet/cpu_manager_state")}


def test_kubelets_state_is_one_file_that_nobody_but_kubelet_makes(kustomized: dict[str, Manifest]) -> None:
    volumes = {v["name"]: v["hostPath"] for v in pod_spec(kustomized)["volumes"]}
    assert volumes["cpu-manager-state"] == {"path": "/var/lib/kubelet/cpu_manager_state", "type": "File"}


def test_commands_in_the_pod_find_the_daemons_state(kustomized: dict[str, Manifest]) -> None:
    """`kubectl exec … koordnri release` is given no --state-dir."""
    default = next(p.default for p in run.params if p.name == "state_dir")
    assert Path(argument(kustomized, "state-dir")) == default


def test_doctor_in_the_pod_finds_the_host_and_the_daemons_socket(kustomized: dict[str, Manifest]) -> None:
    variables = {v["name"]: v.get("value") for v in container(kustomized)["env"]}
    options = {p.name: p.envvar for p in doctor.params if isinstance(p.envvar, str)}
    assert variables[options["host_root"]] == argument(kustomized, "host-root")
    default = next(p.default for p in doctor.params if p.name == "state_dir")
    assert Path(argument(kustomized, "state-dir")) == default


def test_no_cpu_limit_that_could_throttle_an_answer(kustomized: dict[str, Manifest]) -> None:
    assert container(kustomized)["resources"]["limits"] == {"memory": "128Mi"}


def test_runs_on_every_node_before_anything_else(kustomized: dict[str, Manifest]) -> None:
    spec = pod_spec(kustomized)
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["priorityClassName"] == "system-node-critical"


def test_without_access_the_policy_is_the_mounted_config_map(kustomized_base: dict[str, Manifest]) -> None:
    volumes = {v["name"]: v for v in pod_spec(kustomized_base)["volumes"]}
    (mount,) = [m for m in container(kustomized_base)["volumeMounts"] if m["name"] == "policy"]
    name = kustomized_base["ConfigMap"]["metadata"]["name"]
    # Optional: a deleted ConfigMap means the defaults, not pods that cannot start.
    assert volumes["policy"]["configMap"] == {"name": name, "optional": True}
    assert "subPath" not in mount, "kubelet never updates a subPath mount"
    assert argument(kustomized_base, "policy-file") == mount["mountPath"]


def test_the_policy_as_shipped_is_the_defaults(kustomized: dict[str, Manifest], tmp_path: Path) -> None:
    """Both ways of reading it: the ConfigMap's data, and kubelet's mount, which has one file per key."""
    data = kustomized["ConfigMap"]["data"]
    for key, text in data.items():
        (tmp_path / key).write_text(text)
    defaults = load_data({}, "").revision
    assert (load_data(data, "").revision, read_policy(tmp_path).revision) == (defaults, defaults)


def test_each_mount_has_its_volume_and_each_argument_its_mount(kustomized: dict[str, Manifest]) -> None:
    mounts = container(kustomized)["volumeMounts"]
    assert {m["name"] for m in mounts} == {v["name"] for v in pod_spec(kustomized)["volumes"]}
    paths = {m["mountPath"] for m in mounts}
    host_root = argument(kustomized, "host-root")
    assert {argument(kustomized, "state-dir"), f"{host_root}/sys", f"{host_root}/proc"} <= paths


def test_service_and_probes_meet_the_listening_ports(kustomized: dict[str, Manifest]) -> None:
    ports = {port["name"]: port["containerPort"] for port in container(kustomized)["ports"]}
    listening = {"metrics": argument(kustomized, "listen"), "health": argument(kustomized, "listen-health")}
    assert listening == {name: f"0.0.0.0:{port}" for name, port in ports.items()}
    (service_port,) = kustomized["Service"]["spec"]["ports"]
    assert service_port["targetPort"] == "metrics"
    assert service_port["port"] == ports["metrics"]


def test_probes_do_not_share_a_port_with_scrapers(kustomized: dict[str, Manifest]) -> None:
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert container(kustomized)[probe]["httpGet"] == {"path": path, "port": "health"}


def test_scrapers_are_admitted_by_their_namespaces_label_and_to_the_metrics_only(
    kustomized: dict[str, Manifest],
) -> None:
    spec = kustomized["NetworkPolicy"]["spec"]
    labels = kustomized["DaemonSet"]["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec["policyTypes"] == ["Ingress"]
    (rule,) = spec["ingress"]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"koordnri.sh/scraper": "true"}}}]
    assert rule["ports"] == [{"port": "metrics", "protocol": "TCP"}]


def test_service_is_headless_and_selects_our_pods(kustomized: dict[str, Manifest]) -> None:
    service = kustomized["Service"]["spec"]
    labels = kustomized["DaemonSet"]["spec"]["template"]["metadata"]["labels"]
    assert service["clusterIP"] == "None"
    assert service["selector"].items() <= labels.items()
    assert kustomized["DaemonSet"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
