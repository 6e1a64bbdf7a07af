"""How much memory the daemon takes for what is large: measured on a process of its own, against the limit of its DaemonSet."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from koordnri.model.quantity import quantity_value
from koordnri.model.topology import Topology
from koordnri.wire import api_pb2 as api
from koordnri.wire.ttrpc import DEFAULT_MAX_RECEIVED_BYTES
from tests.host.trees import HostTree
from tests.kube.fake_api import Json, listing
from tests.kube.fake_cluster import PODS, Cluster
from tests.kube.watched import write_kubeconfig
from tests.session.scripted_runtime import Link, ScriptedRuntime
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
LARGE = 1_200_000
"""bytes of one container's environment: with the limits of Linux (128 KiB a variable) it takes ten variables or more"""
CONTAINERS = 110
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


@pytest.fixture
def registered(tmp_path: Path, cluster: Cluster, measured: Any) -> Iterator[Callable[[], tuple[Measured, Link]]]:
    """A daemon that has listed 40 large pods, and that a runtime has configured."""
    cluster.lists[PODS] = listing("Pod", "1", *(large_pod(n) for n in range(40)))
    with ScriptedRuntime(tmp_path / "nri.sock") as runtime:

        def register() -> tuple[Measured, Link]:
            daemon: Measured = measured()
            link = runtime.accept()
            link.answer_registration()
            link.configure(runtime_name="containerd", runtime_version="v2.4.0", NRI_version="v0.12.2")
            return daemon, link

        yield register


def sandbox(number: int) -> api.PodSandbox:
    name, uid = f"web-{number}", f"uid-{number}"
    return api.PodSandbox(id=f"p{number}", name=name, uid=uid, namespace="shop", annotations={"a": "x" * 1000})


def container(number: int) -> api.Container:
    return api.Container(id=f"c{number}", name="main", pod_sandbox_id=f"p{number}", env=environment(LARGE))


def test_110_containers_and_40_pods_of_more_than_a_megabyte_each_fit_the_daemonsets_limit(
    registered: Callable[[], tuple[Measured, Link]],
) -> None:
    daemon, link = registered()
    listed = daemon.peak_bytes()
    for at in range(0, CONTAINERS, PARTS_OF):
        numbers = range(at, min(at + PARTS_OF, CONTAINERS))
        pods, containers = [sandbox(n) for n in numbers], [container(n) for n in numbers]
        link.synchronize(pods=pods, containers=containers, more=at + PARTS_OF < CONTAINERS)
    eventually(lambda: daemon.logged("synchronized"), f"synchronized (log: {daemon.log})")
    peak = daemon.peak_bytes()
    assert not daemon.logged("kube_object_unusable")
    print(f"peak: {listed / 2**20:.1f} MiB once the pods were listed, {peak / 2**20:.1f} MiB in all")
    assert peak < limit_bytes()


def test_the_largest_message_that_is_taken_fits_too(registered: Callable[[], tuple[Measured, Link]]) -> None:
    daemon, link = registered()
    numbers = range(DEFAULT_MAX_RECEIVED_BYTES // LARGE)
    link.send_whole("Synchronize", api.SynchronizeRequest(containers=[container(n) for n in numbers]))
    eventually(lambda: daemon.logged("synchronized"), f"synchronized (log: {daemon.log})")
    peak = daemon.peak_bytes()
    print(f"peak: {peak / 2**20:.1f} MiB")
    assert peak < limit_bytes()
