"""`koordnri explain` beside a real runtime: a running pod's values are those that its processes live under."""

from __future__ import annotations

import json
from typing import Any

import pytest

from koordnri.model import CPUSet
from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet
from tests.e2e.test_e2e_diff import koordnri
from tests.e2e.test_e2e_exclusive_cpus import lsr
from tests.e2e.test_e2e_map_top import asked


def manifest(name: str) -> str:
    """A pod that wants one exclusive CPU."""
    resources = {"limits": {"cpu": 1, "memory": "64Mi"}, "requests": {"cpu": 1, "memory": "64Mi"}}
    metadata = {"name": name, "labels": {pods.QOS_CLASS: "LSR"}}
    return json.dumps(
        {"kind": "Pod", "metadata": metadata, "spec": {"containers": [{"name": "main", "resources": resources}]}}
    )


def of_container(shape: Any, name: str) -> Any:
    (container,) = (one for one in shape["containers"] if one["name"] == name)
    return container


def test_an_lsr_pod_shows_its_cpus_in_the_kernel_and_why(kubelet: Kubelet, own_daemon: Daemon) -> None:
    owner = lsr(kubelet)

    shape = asked(own_daemon, "explain", f"default/{owner.pod.name}")

    container = of_container(shape, owner.name)
    cpus, quota = container["fields"]["cpu.cpus"], container["fields"]["cpu.quota"]
    assert cpus["kernel"] == cpus["value"] == kubelet.read(owner, "cpu.cpus")
    assert (cpus["agrees"], cpus["recorded"], cpus["cause"]) == (True, True, "creation")
    assert cpus["reason"] == "exclusive CPUs, given by this node"
    assert (quota["asked"], quota["kernel"]) == (100_000, pods.UNLIMITED)
    assert shape["cpus"]["exclusive"] == {owner.name: cpus["value"]}
    assert shape["pod"]["fields"]["cpu.quota"]["agrees"]
    assert shape["wouldChange"] == []
    text = koordnri(own_daemon, "explain", f"default/{owner.pod.name}").stdout
    assert f"exclusive CPUs of {owner.name}: {cpus['value']}" in text


def test_a_pod_of_a_file_is_decided_beside_the_running_one(
    kubelet: Kubelet, own_daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> None:
    owner = lsr(kubelet)
    path = tmp_path_factory.mktemp("explain") / "pod.json"
    path.write_text(manifest("another"))
    shape = asked(own_daemon, "explain", "-f", str(path), "--live")
    other = CPUSet.parse(of_container(shape, "main")["fields"]["cpu.cpus"]["value"])
    # An exclusive one or, where too few are left, the share pool: in no case the running pod's.
    assert not other & CPUSet.parse(str(kubelet.read(owner, "cpu.cpus")))
