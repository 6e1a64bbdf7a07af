"""Limits of disks in the files of a fake kernel: of BE together, of pods, and the cost control at the root; and how they go back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from koordnri.host.cgroup.change import Status
from koordnri.model import Decision, Resources
from koordnri.model.annotations import BLKIO_QOS_KEY
from koordnri.model.node import MAINLINE_V2_ROOT_FILES
from tests.host.fake_disks import NO_DISK, THROTTLES
from tests.host.fake_kernel import Cgroup
from tests.reconcile.fake_node import DISKS, FakeNode, statuses

BOTH = pytest.mark.parametrize("version", [1, 2])
BE = "kubepods/besteffort"
WEIGHTS_V1 = frozenset({"blkio/blkio.cost.weight", "blkio/blkio.bfq.weight_device"})
ROOT_V1 = frozenset({"blkio/blkio.cost.qos", "blkio/blkio.cost.model"})


def node_of(version: int, **options: Any) -> FakeNode:
    """A node with every file of disks, and a BE pod, so that the place of its class is known."""
    node = FakeNode(version, **options)
    node.kernel.cgroups[""] = Cgroup()
    if version == 1:
        seen = frozenset(f"blkio/{name}" for name in THROTTLES) | WEIGHTS_V1
        node.state = replace(node.state, cgroup_files=seen, root_files=ROOT_V1)
    node.pod("be", "BE", "BestEffort")
    return node


def block(name: str, **io: Any) -> dict[str, Any]:
    return {"name": name, "ioCfg": io}


def disk_sections(name: str, *blocks: Any) -> dict[str, Any]:
    return {"resource_qos_config": {"clusterStrategy": {name: {"blkioQOS": {"enable": True, "blocks": list(blocks)}}}}}


def reads(node: FakeNode, cgroup: str) -> dict[str, int]:
    """Disk → limit of bytes read."""
    c = node.kernel.cgroups[cgroup]
    if node.kernel.version == 1:
        return dict(c.disks.throttle.get("blkio.throttle.read_bps_device", {}))
    return {disk: limits["rbps"] for disk, limits in c.io_max.items() if "rbps" in limits}


def weights(node: FakeNode, cgroup: str) -> list[dict[str, int]]:
    """Of each file with weights: disk → weight, without the neutral one."""
    c = node.kernel.cgroups[cgroup]
    found = [c.disks.cost_weight, c.disks.bfq] if node.kernel.version == 1 else [c.io_weight]
    return [{disk: weight for disk, weight in file.items() if weight != 100} for file in found]


def limit_as_somebody_else(node: FakeNode, cgroup: str, disk: str, bps: int) -> None:
    c = node.kernel.cgroups[cgroup]
    if node.kernel.version == 1:
        c.disks.throttle.setdefault("blkio.throttle.read_bps_device", {})[disk] = bps
    else:
        c.io_max[disk] = {"rbps": bps}


@BOTH
def test_a_disk_that_left_the_configuration_is_reset_and_others_stay(version):
    node = node_of(version)
    limit_as_somebody_else(node, BE, "8:32", 77)
    node.set_policy(
        **disk_sections("beClass", block("/dev/sda", readBPS=1024, ioWeightPercent=20), block("/dev/sdb", readBPS=5))
    )
    node.run_pass()
    assert reads(node, BE) == {"8:0": 1024, "8:16": 5, "8:32": 77}
    assert all(file == {"8:0": 20} for file in weights(node, BE))
    node.set_policy(**disk_sections("beClass", block("/dev/sdb", readBPS=5)))
    node.run_pass()
    assert reads(node, BE) == {"8:16": 5, "8:32": 77}
    assert not any(weights(node, BE))
    assert statuses(node.run_pass("sweep")) <= {Status.SAME}
    node.set_policy()
    node.run_pass()
    assert reads(node, BE) == {"8:32": 77}, "koordlet would reset what nobody configured; it may be somebody's"
    assert node.ledger.all_originals() == {}
    assert node.warnings() == []
    assert not node.kernel.violations


@BOTH
@pytest.mark.parametrize("restart", [False, True])
def test_what_somebody_had_set_before_comes_back(version, restart):
    node = node_of(version)
    limit_as_somebody_else(node, BE, "8:0", 77)
    node.set_policy(**disk_sections("beClass", block("/dev/sda1", readBPS=1024)))
    node.run_pass()
    assert reads(node, BE) == {"8:0": 1024}
    node = node.restarted() if restart else node
    node.set_policy()
    node.run_pass()
    assert reads(node, BE) == {"8:0": 77}


@BOTH
def test_a_pods_limits_follow_its_annotation_and_go_with_it(version):
    node = node_of(version)
    blocks = [block("/dev/sda", readBPS=1024, ioWeightPercent=10), block("/dev/sdb", readBPS=7)]
    pod = node.pod("p", "LS", annotations={BLKIO_QOS_KEY: json.dumps({"blocks": blocks})})
    place = pod.cgroup_parent.strip("/")
    node.run_pass("pod")
    assert reads(node, place) == {"8:0": 1024, "8:16": 7}
    assert all(file == {"8:0": 10} for file in weights(node, place))
    node.report_again(pod, {BLKIO_QOS_KEY: json.dumps({"blocks": blocks[1:]})})
    node.run_pass("pod")
    assert reads(node, place) == {"8:16": 7}
    node.report_again(pod, {BLKIO_QOS_KEY: "{"})
    node.run_pass("pod")
    assert reads(node, place) == {"8:16": 7}, "who cannot be understood has not stated that he wants nothing"
    node.report_again(pod, {})
    node.run_pass("pod")
    assert reads(node, place) == {}
    assert not any(weights(node, place))


@BOTH
def test_a_volume_that_is_mounted_later_is_limited_then(version):
    node = node_of(version)
    blocks = [{"name": "pv-1", "type": "podvolume", "ioCfg": {"readBPS": 9}}]
    node.pod("p", "LS", annotations={BLKIO_QOS_KEY: json.dumps({"blocks": blocks})})
    node.state = replace(node.state, pod_volumes={})
    node.run_pass()
    assert reads(node, "kubepods/burstable/p") == {}
    node.state = replace(node.state, pod_volumes={"uid-p": {"pv-1": ("/dev/sdb",)}})
    node.run_pass()
    assert reads(node, "kubepods/burstable/p") == {"8:16": 9}
    assert node.warnings() == []


@BOTH
def test_the_roots_cost_control_is_turned_on_and_the_kernel_chooses_again_afterwards(version):
    node = node_of(version)
    cost = node.kernel.cgroups[""].disks.cost
    io = {"readLatency": 500, "enableUserModel": True, "modelReadBPS": 1000}
    node.set_policy(**disk_sections("cgroupRoot", block("/dev/sda", **io), block("/dev/sdb")))
    node.run_pass()
    assert cost["qos"]["8:0"].items() >= {"enable": "1", "ctrl": "user", "rlat": "500", "rpct": "95.00"}.items()
    assert cost["model"]["8:0"].items() >= {"ctrl": "user", "rbps": "1000", "rseqiops": "98560"}.items()
    assert cost["qos"]["8:16"]["enable"] == "1"
    assert "8:16" not in cost["model"], "the kernel chooses already"
    assert statuses(node.run_pass("asked")) == {Status.SAME}
    node = node.restarted()
    node.set_policy()
    node.run_pass()
    assert {disk: words["enable"] for disk, words in cost["qos"].items()} == {"8:0": "0", "8:16": "0"}
    assert cost["model"]["8:0"]["ctrl"] == "auto"
    assert cost["model"]["8:0"]["rbps"] != "1000"
    assert node.ledger.all_originals() == {}
    assert node.warnings() == []


@BOTH
def test_what_the_administrator_had_chosen_at_the_root_comes_back(version):
    node = node_of(version)
    disks = node.kernel.cgroups[""].disks
    prefix = "io" if version == 2 else "blkio"
    disks.set(f"{prefix}.cost.qos", "8:0 enable=1 ctrl=user rpct=90 rlat=7000")
    disks.set(f"{prefix}.cost.qos", "8:16 enable=1 ctrl=auto")
    before = json.loads(json.dumps(disks.cost["qos"]))
    node.set_policy(**disk_sections("cgroupRoot", block("/dev/sda"), block("/dev/sdb", readLatency=5)))
    node.run_pass()
    assert disks.cost["qos"] != before
    node.set_policy()
    node.run_pass()
    assert disks.cost["qos"] == before


@BOTH
def test_a_release_of_everything_gives_the_classes_and_the_root_back(version):
    node = node_of(version)
    node.set_policy(**disk_sections("cgroupRoot", block("/dev/sda")))
    node.run_pass()
    assert node.kernel.cgroups[""].disks.cost["qos"]["8:0"]["enable"] == "1"
    node.state = replace(node.state, released=frozenset("*"))
    node.run_pass()
    assert node.kernel.cgroups[""].disks.cost["qos"]["8:0"]["enable"] == "0"


def test_without_cost_control_in_the_kernel_nothing_is_tried():
    node = node_of(2)
    node.state = replace(node.state, root_files=frozenset())
    node.set_policy(**disk_sections("cgroupRoot", block("/dev/sda")))
    node.run_pass()
    assert node.kernel.log == []
    assert node.warnings() == []
    node.state = replace(node.state, root_files=MAINLINE_V2_ROOT_FILES)
    node.run_pass()
    assert node.kernel.log != []


def test_a_latency_target_is_set_and_lifted():
    node = node_of(2)
    node.set_policy(**disk_sections("beClass", block("/dev/sda", ioLatencyTarget=2500)))
    node.run_pass()
    assert node.kernel.cgroups[BE].disks.latency == {"8:0": 2500}
    node.set_policy()
    node.run_pass()
    assert node.kernel.cgroups[BE].disks.latency == {}


@BOTH
def test_a_disk_that_the_kernel_does_not_know_costs_itself_only_and_is_reported(version):
    node = node_of(version)
    node.state = replace(node.state, block_devices={**DISKS, "/dev/sdz": NO_DISK})
    node.set_policy(**disk_sections("beClass", block("/dev/sdz", readBPS=3), block("/dev/sda", readBPS=4)))
    for _ in range(6):
        node.run_pass("sweep")
    assert reads(node, BE) == {"8:0": 4}
    reported = node.warnings()
    assert len({entry["field"] for entry in reported}) == 1
    assert all("/dev/sdz" in entry["field"] and "there is no such disk" in entry["error"] for entry in reported)


def test_a_weight_on_a_disk_without_cost_control_reports_what_is_missing():
    node = node_of(2)
    node.state = replace(node.state, block_devices={"/dev/sda": NO_DISK})
    node.set_policy(**disk_sections("beClass", block("/dev/sda", ioWeightPercent=3)))
    for _ in range(6):
        node.run_pass("sweep")
    assert any("no cost control (io.cost.qos of the root) and no scheduler bfq" in e["error"] for e in node.warnings())


@BOTH
def test_a_disk_that_is_unplugged_needs_no_reset_until_it_is_back(version):
    node = node_of(version)
    node.set_policy(**disk_sections("beClass", block("/dev/sda", readBPS=4), block("/dev/sdb", readBPS=5)))
    node.run_pass()
    node.state = replace(node.state, block_devices={"/dev/sda": "8:0"})
    node.set_policy(**disk_sections("beClass", block("/dev/sda", readBPS=4)))
    node.kernel.log.clear()
    assert statuses(node.run_pass("asked")) == {Status.SAME}
    assert (node.kernel.log, node.warnings()) == ([], [])
    node.state = replace(node.state, block_devices=DISKS)
    node.run_pass("sweep")
    assert reads(node, BE) == {"8:0": 4}


def test_a_device_of_the_policy_that_this_node_lacks_is_reported_by_the_class():
    reported: list[tuple[str, Decision]] = []
    node = node_of(2, class_decided_again=lambda kube_class, decision: reported.append((kube_class, decision)))
    node.set_policy(**disk_sections("beClass", block("/dev/none", readBPS=1), block("/dev/sda", readBPS=4)))
    node.run_pass()
    assert reads(node, BE) == {"8:0": 4}
    [(kube_class, decision)] = reported
    assert kube_class == "BestEffort"
    [error] = decision.errors
    assert (error.fault, "/dev/none" in error.message) == ("node", True)


def test_a_container_keeps_its_pods_limit_and_loses_it_with_the_annotation():
    node = node_of(2)
    pod = node.pod("p", "LS", annotations={BLKIO_QOS_KEY: json.dumps({"blocks": [block("/dev/sda1", readBPS=9)]})})
    container = node.container(pod)
    assert reads(node, container) == {"8:0": 9}, "from its first read on"
    node.run_pass()
    assert reads(node, "kubepods/burstable/p") == {"8:0": 9}
    node.report_again(pod, {})
    node.run_pass()
    assert (reads(node, "kubepods/burstable/p"), reads(node, container)) == ({}, {})


@BOTH
def test_a_pod_that_nobody_limits_costs_no_look_at_its_disks(version):
    node = node_of(version)
    pod = node.pod("p", "LS", reported=Resources(cpu_quota=50_000))
    node.container(pod)
    looked: list[str] = []
    read = node.kernel.read
    node.kernel.read = lambda path: looked.append(path) or read(path)  # type: ignore[method-assign]
    node.run_pass("sweep")
    assert not [path for path in looked if "/io." in path or "blkio" in path]
