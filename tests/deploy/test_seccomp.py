"""koordnri's own seccomp profile, by the component and by the chart: an init container brings it to kubelet, and only that one may."""

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
Objects = dict[tuple[str, str], Manifest]
Helm = Callable[..., subprocess.CompletedProcess[str]]
LOCALHOST = {"type": "Localhost", "localhostProfile": "koordnri.json"}
CHARTS_OWN = {f"app.kubernetes.io/{name}" for name in ("instance", "managed-by", "version")} | {"helm.sh/chart"}


def named(manifests: list[Manifest]) -> Objects:
    return {(m["kind"], m["metadata"]["name"]): m for m in manifests}


def rendered(helm: Helm, *values: str) -> Objects:
    done = helm("template", *(f"--set={value}" for value in values))
    assert done.returncode == 0, done.stderr
    manifests = [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
    return named([m for m in manifests if "helm.sh/hook" not in m["metadata"].get("annotations", {})])


@pytest.fixture(scope="module")
def plain(root: Path) -> Objects:
    return named(kustomize.build(root / "deploy"))


@pytest.fixture(scope="module")
def confined(root: Path) -> Objects:
    return named(kustomize.with_component(root / "deploy", root / "deploy/seccomp"))


def pod_spec(objects: Objects) -> Manifest:
    spec: Manifest = objects["DaemonSet", "koordnri"]["spec"]["template"]["spec"]
    return spec


def test_the_config_map_holds_the_profile(root: Path, confined: Objects) -> None:
    (text,) = confined["ConfigMap", "koordnri-seccomp"]["data"].values()
    assert json.loads(text) == json.loads((root / "deploy/seccomp/koordnri.json").read_text())


def test_only_the_first_container_reaches_kubelets_directory(confined: Objects) -> None:
    spec = pod_spec(confined)
    (first,), (daemon,) = spec["initContainers"], spec["containers"]
    assert daemon["securityContext"]["seccompProfile"] == LOCALHOST
    # The file is not there yet when this one is created.
    assert first["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    kept = copy.deepcopy(daemon["securityContext"])
    assert kept | {"seccompProfile": first["securityContext"]["seccompProfile"]} == first["securityContext"]
    assert first["resources"] == daemon["resources"], "otherwise it is the init container that counts for the scheduler"
    assert {m["name"] for m in daemon["volumeMounts"]} & {"seccomp", "kubelet-seccomp"} == set()
    mounts = {m["name"]: (m["mountPath"], m.get("readOnly", False)) for m in first["volumeMounts"]}
    source, target = first["command"][-2:]
    assert mounts == {
        "seccomp": (str(Path(source).parent), True),
        "kubelet-seccomp": (str(Path(target).parent), False),
    }
    assert Path(target).name == LOCALHOST["localhostProfile"]
    volumes = {v["name"]: v for v in spec["volumes"]}
    assert volumes["kubelet-seccomp"]["hostPath"]["path"] == "/var/lib/kubelet/seccomp", "where kubelet looks"
    assert list(confined["ConfigMap", volumes["seccomp"]["configMap"]["name"]]["data"]) == [Path(source).name]


def test_nothing_else_changes(plain: Objects, confined: Objects) -> None:
    spec = copy.deepcopy(pod_spec(confined))
    del spec["initContainers"]
    spec["volumes"] = [v for v in spec["volumes"] if v["name"] not in ("seccomp", "kubelet-seccomp")]
    spec["containers"][0]["securityContext"]["seccompProfile"] = {"type": "RuntimeDefault"}
    assert spec == pod_spec(plain)
    others = {key: m for key, m in confined.items() if key[0] != "DaemonSet"}
    assert others.keys() - plain.keys() == {("ConfigMap", "koordnri-seccomp")}
    assert {key: m for key, m in plain.items() if key[0] != "DaemonSet"}.items() <= others.items()


def test_the_chart_gives_the_same(helm: Helm, confined: Objects) -> None:
    objects = rendered(helm, "seccompProfile=Localhost")
    for manifest in objects.values():
        for label in CHARTS_OWN & manifest["metadata"]["labels"].keys():
            del manifest["metadata"]["labels"][label]
    assert objects.keys() == {key for key in confined if key[0] != "Namespace"}
    assert [key for key, manifest in objects.items() if manifest != confined[key]] == []


def test_the_profile_is_there_before_doctor_runs(helm: Helm) -> None:
    spec = pod_spec(rendered(helm, "seccompProfile=Localhost", "doctor.initContainer=true"))
    assert [first["name"] for first in spec["initContainers"]] == ["seccomp", "doctor"]
    assert spec["initContainers"][1]["securityContext"]["seccompProfile"] == LOCALHOST


def test_kubelets_other_directory_gets_it(helm: Helm) -> None:
    spec = pod_spec(rendered(helm, "seccompProfile=Localhost", "kubeletDir=/var/lib/k0s/kubelet"))
    volumes = {v["name"]: v for v in spec["volumes"]}
    assert volumes["kubelet-seccomp"]["hostPath"]["path"] == "/var/lib/k0s/kubelet/seccomp"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["seccompProfile=Localhost", "kubeletDir="], "expected kubeletDir"),
        (["seccompProfile=Unconfined"], "seccompProfile"),
    ],
)
def test_values_that_cannot_work_are_refused(helm: Helm, values: list[str], words: str) -> None:
    done = helm("template", *(f"--set={value}" for value in values))
    assert done.returncode != 0
    assert words in done.stderr
