"""Limits of pods' volumes in the files of a fake kernel: they go where the volume is, follow the annotation, and go back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from koordnri.model import Pod
from koordnri.model.annotations import BLKIO_QOS_KEY
from koordnri.model.pod import ContainerSpec, PodSpec
from tests.host.fake_disks import THROTTLES
from tests.reconcile.fake_node import FakeNode

BOTH = pytest.mark.parametrize("version", [1, 2])
SPEC = PodSpec({"main": ContainerSpec({}, {}, claimed={"/data": "data", "/dev/xvda": "raw"})})
GIVEN = {"main": {"/data": "pvc-1", "/dev/xvda": "8:16"}}
PLACE = "kubepods/burstable/p"


def node_of(version: int) -> FakeNode:
    node = FakeNode(version)
    seen = frozenset(f"blkio/{name}" for name in THROTTLES) if version == 1 else node.state.cgroup_files
    node.state = replace(
        node.state,
        cgroup_files=seen,
        pod_volumes={"uid-p": {"pvc-1": ("/dev/sda",)}},
        disks_below={"8:16": ("/dev/sdb",)},
    )
    return node


def limiting(**bps: int) -> dict[str, str]:
    """Annotation: volume → bytes read per second."""
    blocks = [{"name": name, "type": "podvolume", "ioCfg": {"readBPS": limit}} for name, limit in bps.items()]
    return {BLKIO_QOS_KEY: json.dumps({"blocks": blocks})}


def pod_of(node: FakeNode, annotations: dict[str, str], given: dict[str, dict[str, str]]) -> Pod:
    pod = node.pod("p", "LS", annotations=annotations)
    pod.spec, pod.given = SPEC, dict(given)
    return pod


def reads(node: FakeNode) -> dict[str, int]:
    """Disk → limit of bytes read of the pod."""
    c = node.kernel.cgroups[PLACE]
    if node.kernel.version == 1:
        return dict(c.disks.throttle.get("blkio.throttle.read_bps_device", {}))
    return {disk: limits["rbps"] for disk, limits in c.io_max.items() if "rbps" in limits}


@BOTH
def test_a_pods_limits_move_with_the_volume_that_its_annotation_names(version: int) -> None:
    node = node_of(version)
    pod = pod_of(node, limiting(data=7), GIVEN)
    node.run_pass()
    assert reads(node) == {"8:0": 7}
    node.report_again(pod, limiting(raw=9))
    node.run_pass("pod")
    assert reads(node) == {"8:16": 9}
    node.report_again(pod, limiting(raw=9, data=8, typo=1))
    node.run_pass("pod")
    assert reads(node) == {"8:16": 9, "8:0": 8}, "what names nothing costs itself only"
    node = node.restarted()
    node.report_again(pod, {})
    node.run_pass()
    assert reads(node) == {}
    assert node.warnings() == []
    assert node.ledger.all_originals() == {}


@BOTH
def test_a_limit_comes_when_a_container_shows_where_the_volume_is(version: int) -> None:
    node = node_of(version)
    pod = pod_of(node, limiting(raw=9), {})
    node.run_pass()
    assert reads(node) == {}
    pod.given["main"] = {"/dev/xvda": "8:16"}
    node.container(pod)
    node.run_pass("pod")
    assert reads(node) == {"8:16": 9}


@BOTH
def test_a_device_that_goes_takes_only_its_own_limit_with_it(version: int) -> None:
    node = node_of(version)
    pod_of(node, limiting(raw=9, data=7), GIVEN)
    node.run_pass()
    assert reads(node) == {"8:0": 7, "8:16": 9}
    devices = {path: number for path, number in (node.state.block_devices or {}).items() if number != "8:16"}
    node.state = replace(node.state, block_devices=devices, disks_below={})
    node.run_pass()
    assert reads(node)["8:0"] == 7
    assert node.warnings() == []
