"""How much memory the daemon takes for what is large: measured on a process of its own, against the limit of its DaemonSet."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_api import Json, eventually, listing
from fake_cluster import PODS, Cluster
from watched import write_kubeconfig

from koordnri.model.quantity import quantity_value
from koordnri.model.topology import Topology
from koordnri.wire import api_pb2 as api
from tests.host.trees import HostTree
from tests.session.scripted_runtime import ScriptedRuntime

ROOT = Path(__file__).parents[2]
LARGE = 1_200_000
"""bytes of one container's environment: with the limits of Linux (128 KiB a variable) it takes ten variables or more"""
PARTS_OF = 3
"""containers in a message of at most 4 MiB"""


def limit_bytes() -> int:
    manifest = yaml.safe_load((ROOT / "deploy/base/daemonset.yaml").read_text())
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    return quantity_value(container["resources"]["limits"]["memory"])


def environment(size_bytes: int) -> list[str]:
    return [f"V{i}={'x' * (size_bytes // 12)}" for i in range(12)]


def large_pod(number: int) -> Json:
    """1.1 MB of JSON, as much as an API server takes."""
    metadata = {
        "name": f"web-{number}",
        "namespace": "shop",
        "uid": f"uid-{number}",
        "annotations": {"example.com/notes": "x" * 200_000},
        "managedFields": [{"manager": "m", "fieldsV1": {f"f:k{i}": {"f:v": {}} for i in range(5_000)}}],
    }
    env = [{"name": f"V{i}", "value": "y" * 100} for i in range(6_000)]
    return {"metadata": metadata, "spec": {"nodeName": "n1", "containers": [{"name": "main", "env": env}]}}


class Measured:
    """A daemon in a process of its own."""

    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        HostTree(folder / "host").cpus(Topology.regular(1, 1, 4, 1)).cgroup_v2()
        flags = {
            "nri-socket": folder / "nri.sock",
            "host-root": folder / "host",
            "state-dir": folder / "state",
            "kubeconfig": kubeconfig,
            "node-name": "n1",
            "policy-configmap": "koordnri-system/policy",
            "listen": "127.0.0.1:0",
        }
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from koordnri.cli import main; main()", "run"]
                + [f"--{flag}={value}" for flag, value in flags.items()],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
            )

    def peak_bytes(self) -> int:
        """The most that was resident so far."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        (value,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
        return int(value) * 1024

    def logged(self, event: str) -> bool:
        return event in self.log.read_text()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def measured(tmp_path: Path, cluster: Cluster) -> Iterator[Any]:
    started: list[Measured] = []

    def start() -> Measured:
        started.append(Measured(tmp_path, write_kubeconfig(tmp_path, cluster.url)))
        return started[-1]

    yield start
    for it in started:
        it.close()


def test_110_containers_and_40_pods_of_more_than_a_megabyte_each_fit_the_daemonsets_limit(
    tmp_path: Path, cluster: Cluster, measured: Any, record_property: Any
) -> None:
    cluster.lists[PODS] = listing("Pod", "1", *(large_pod(n) for n in range(40)))
    sandboxes = [
        api.PodSandbox(id=f"p{n}", name=f"web-{n}", uid=f"uid-{n}", namespace="shop", annotations={"a": "x" * 1000})
        for n in range(110)
    ]
    containers = [
        api.Container(id=f"c{n}", name="main", pod_sandbox_id=f"p{n}", env=environment(LARGE)) for n in range(110)
    ]
    with ScriptedRuntime(tmp_path / "nri.sock") as runtime:
        daemon = measured()
        link = runtime.accept()
        link.answer_registration()
        link.configure(runtime_name="containerd", runtime_version="v2.4.0", NRI_version="v0.12.2")
        before = daemon.peak_bytes()
        for at in range(0, len(containers), PARTS_OF):
            part = containers[at : at + PARTS_OF]
            link.synchronize(pods=sandboxes[at : at + PARTS_OF], containers=part, more=part[-1] is not containers[-1])
        assert eventually(lambda: daemon.logged("synchronized")), daemon.log.read_text()
        peak = daemon.peak_bytes()
        assert not daemon.logged("kube_object_unusable")
    record_property("listed_mib", before >> 20)
    record_property("peak_mib", peak >> 20)
    print(f"peak: {before / 2**20:.1f} MiB once the pods were listed, {peak / 2**20:.1f} MiB in all")
    assert peak < limit_bytes()
