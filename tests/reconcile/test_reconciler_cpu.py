"""What the scheduler is set to for pods and classes: written where it belongs, kept, and taken back; and bursts, in the kernel's order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from koordnri.host.cgroup.change import Change, Status
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Decision, Pod, Resources, fields
from koordnri.model.node import MAINLINE_V2_FILES
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.reconcile.failures import RETRIES_S
from tests.host.fake_kernel import ROOT, Cgroup
from tests.reconcile.fake_node import HALVED, FakeNode, batch_of, undone

IDLE = {"resource_qos_config": {"clusterStrategy": {"beClass": {"cpuQOS": {"enable": True, "schedIdle": 1}}}}}
PREFERRED = {
    "resource_qos_config": {
        "clusterStrategy": {"lsClass": {"cpuQOS": {"enable": True}}, "beClass": {"cpuQOS": {"enable": True}}}
    }
}
BURST = {"cpu_burst_config": {"clusterStrategy": {"policy": "auto"}}}
BOTH = pytest.mark.parametrize("version", [1, 2])


def node_with(version: int, policy: dict[str, Any], group_identity: bool = False) -> FakeNode:
    node = FakeNode(version)
    node.kernel.group_identity = group_identity
    files = {"cpu.bvt_warp_ns"} if group_identity else set()
    v1 = frozenset(f"cpu/{name}" for name in {"cpu.cfs_burst_us", "cpu.idle", *files})
    present = v1 if version == 1 else MAINLINE_V2_FILES | files
    node.state = replace(node.state, cgroup_files=present, cgroup_driver="cgroupfs")
    node.set_policy(**policy)
    return node


def cgroup(node: FakeNode, path: str) -> Cgroup:
    return node.kernel.cgroups[path]


def batch_pods(node: FakeNode) -> tuple[Cgroup, Cgroup, Cgroup]:
    """The cgroups of a pod with batch resources, of its container, and of a pod of which nothing is known."""
    batch = node.pod("batch", "BE", "BestEffort", batch_of(main=(500, 96)))
    node.pod("plain", "", "BestEffort")
    container = cgroup(node, node.container(batch))
    found = cgroup(node, "kubepods/besteffort/batch"), container, cgroup(node, "kubepods/besteffort/plain")
    for each in (found[0], found[2]):
        each.shares, each.weight = 2, 1
    return found


def kubelet_sets_its_classes(node: FakeNode) -> None:
    """As at its start and once a minute; a kubelet whose write fails does not start."""
    name, values = ("cpu.shares", (2, 1024)) if node.kernel.version == 1 else ("cpu.weight", (1, 39))
    top = f"{ROOT}/sys/fs/cgroup" + ("/cpu" if node.kernel.version == 1 else "")
    for path, value in zip(("besteffort", "burstable"), values, strict=True):
        node.kernel.write(f"{top}/kubepods/{path}/{name}", str(value))


def shares(one: Cgroup) -> tuple[int, int]:
    return one.shares, one.weight


@BOTH
def test_batch_pods_become_idle_and_kubelet_can_set_the_shares_of_every_class(version: int) -> None:
    node = node_with(version, IDLE)
    _, container, _ = batch_pods(node)
    assert all(o.error == "" for o in node.run_pass())

    assert {path for path, c in node.kernel.cgroups.items() if c.idle} == {
        "kubepods/besteffort/batch",
        "kubepods/besteffort/plain",
    }
    assert container.shares == 512
    kubelet_sets_its_classes(node)
    assert node.run_pass() == []
    assert node.run_pass("sweep") == []


@BOTH
@pytest.mark.parametrize("restarts", [False, True])
def test_pods_that_cease_to_be_idle_have_the_shares_of_before(version: int, restarts: bool) -> None:
    node = node_with(version, {})
    batch, _, plain = batch_pods(node)
    node.run_pass()
    before = shares(batch), shares(plain)
    assert before[0] != before[1]
    node.set_policy(**IDLE)
    node.run_pass()
    assert (batch.idle, plain.idle) == (1, 1)
    node.run_pass("sweep")
    if restarts:
        node = node.restarted()
        node.run_pass("sweep")
        assert (batch.idle, plain.idle) == (1, 1)
    node.set_policy()
    node.run_pass()
    assert (batch.idle, plain.idle) == (0, 0)
    version_index = version - 1
    assert [shares(one)[version_index] for one in (batch, plain)] == [one[version_index] for one in before]
    assert node.warnings() == []
    assert node.run_pass("sweep") == []


@BOTH
def test_an_idle_pod_that_a_daemon_without_notes_finds_gets_its_weight(version: int) -> None:
    node = node_with(version, IDLE)
    batch, *_ = batch_pods(node)
    node.run_pass()
    assert batch.idle == 1
    node.set_policy()
    again = node.restarted(lost=True)
    again.run_pass()
    assert batch.idle == 0
    assert batch.shares == 512 if version == 1 else batch.weight == 20
    assert again.warnings() == []


@BOTH
def test_idleness_that_systemd_takes_away_comes_back_in_a_sweep(version: int) -> None:
    """`CPUWeight=` of the slice: cpu.idle 0, then the weight."""
    node = node_with(version, IDLE)
    batch, *_ = batch_pods(node)
    node.run_pass()
    batch.idle, batch.shares, batch.weight = 0, 2048, 200
    node.run_pass("sweep")
    assert batch.idle == 1
    assert undone(node)["cpu.idle"] == 1
    node.set_policy()
    node.run_pass()
    assert batch.shares == 512 if version == 1 else batch.weight == 20


@BOTH
@pytest.mark.parametrize("noted", [True, False])
def test_a_class_that_an_earlier_version_left_idle_is_taken_back(version: int, noted: bool) -> None:
    old = node_with(version, {})
    path = "kubepods/besteffort"
    old.kernel.write(f"{ROOT}/sys/fs/cgroup/{'cpu/' if version == 1 else ''}{path}/cpu.idle", "1")
    if noted:
        old.ledger.intend("class:BestEffort", {"cpu.idle": 0})
    node = old.restarted()
    node.run_pass()
    assert cgroup(node, path).idle == 0
    assert shares(cgroup(node, path))[version - 1] == (2 if version == 1 else 1), "as kubelet has it"
    kubelet_sets_its_classes(node)
    assert node.ledger.originals("class:BestEffort") == {}
    assert node.warnings() == []


@BOTH
def test_pods_and_classes_are_preferred_and_containers_are_not(version: int) -> None:
    node = node_with(version, PREFERRED, group_identity=True)
    shared = node.container(node.pod("shared", "LS", cpu_quota=100_000), cpu_quota=100_000)
    batch = node.container(node.pod("batch", "BE", "BestEffort", batch_of(main=(500, 96))))
    node.run_pass()
    sandboxes = {"kubepods/burstable/shared/shared", "kubepods/besteffort/batch/batch"}
    assert {path: c.bvt for path, c in node.kernel.cgroups.items() if path not in sandboxes} == {
        "kubepods": 0,
        "kubepods/burstable": 2,
        "kubepods/burstable/shared": 2,
        shared: 0,
        "kubepods/besteffort": -1,
        "kubepods/besteffort/batch": -1,
        batch: 0,
    }
    node.set_policy()
    node.run_pass()
    assert not any(c.bvt for c in node.kernel.cgroups.values())


@BOTH
def test_without_the_kernels_files_nothing_is_tried_and_nothing_fails(version: int) -> None:
    node = node_with(version, {**PREFERRED, **BURST})
    node.state = replace(node.state, cgroup_files=node.state.cgroup_files - {"cpu.max.burst", "cpu/cpu.cfs_burst_us"})
    node.container(node.pod("shared", "LS", cpu_quota=100_000), cpu_quota=100_000)
    node.run_pass()
    assert node.kernel.log == []
    assert node.warnings() == []


@BOTH
@pytest.mark.parametrize("knows_spec", [True, False])
def test_bursts_follow_the_quota_down_and_up_without_a_refusal(version: int, knows_spec: bool) -> None:
    node = node_with(version, BURST)
    pod = node.pod("shared", "LS", cpu_quota=100_000)
    if knows_spec:
        pod.spec = PodSpec({"main": ContainerSpec({}, {"cpu": "1"})})
    container = node.container(pod, cpu_quota=100_000)
    for policy, quota, burst in (
        (BURST, 100_000, 100_000),
        ({**BURST, **HALVED}, 50_000, 50_000),
        (BURST, 100_000, 100_000),
        (HALVED, 50_000, 0),
        ({}, 100_000, 0),
    ):
        node.set_policy(**policy)
        outcomes = node.run_pass()
        assert [o.error for o in outcomes if o.error] == []
        assert (cgroup(node, container).quota, cgroup(node, container).burst) == (quota, burst)
        # On v1 the pod keeps kubelet's quota (cfs_quota.V1_POD).
        own = cgroup(node, "kubepods/burstable/shared")
        assert (own.quota, own.burst) == ((quota, burst) if version == 2 else (100_000, burst and 100_000))
    assert node.kernel.violations == []


def grown(node: FakeNode, pod: Pod, quota_us: int) -> None:
    """The runtime has asked about a resize of the pod's only container, and written nothing yet."""
    entry = node.ledger.containers_of(pod.id)[0]
    entry.baseline = Resources(cpu_quota=quota_us, cpu_period=100_000)
    node.ledger.remember(entry, Decision())


@BOTH
def test_a_burst_waits_for_the_quota_of_a_resize_without_a_word(version: int) -> None:
    node = node_with(version, BURST)
    pod = node.pod("shared", "LS", cpu_quota=100_000)
    container = cgroup(node, node.container(pod, cpu_quota=100_000))
    cgroup(node, "kubepods/burstable/shared").quota = 200_000
    node.run_pass()
    assert container.burst == 100_000

    grown(node, pod, 200_000)
    assert [o.status for o in node.run_pass("pod") if o.change.directory.endswith("main")] == [Status.WAITS]
    assert container.burst == 100_000
    assert node.tried_again(), "it is tried again"
    container.quota = 200_000
    node.run_pass("pod")
    assert container.burst == 200_000
    assert node.warnings() == []
    assert not node.reconciler.stats.failures


def test_a_burst_whose_quota_never_comes_is_reported_in_the_end() -> None:
    node = node_with(2, BURST)
    pod = node.pod("shared", "LS", cpu_quota=200_000)
    node.container(pod, cpu_quota=100_000)
    grown(node, pod, 200_000)
    for _ in RETRIES_S:
        node.run_pass("pod")
        assert node.warnings() == []
    node.run_pass("pod")
    (warning,) = node.warnings()
    assert "waits for a quota of 200000" in warning["error"]


def test_a_kernel_with_group_identity_takes_a_burst_above_the_quota_and_is_asked() -> None:
    node = node_with(1, {}, group_identity=True)
    node.kernel.cgroups["kubepods/p"] = Cgroup(quota=100_000)
    change = Change("kubepods/p", fields.CPU_BURST, "", 200_000)
    assert Writer(ROOT, 1, node.kernel).apply([[change]])[0].status is Status.REFUSED, "by this fake kernel, not by us"
    node.kernel.group_identity = False
    assert Writer(ROOT, 1, node.kernel).apply([[change]])[0].status is Status.WAITS
