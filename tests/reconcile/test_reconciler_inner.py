"""crun under systemd on v2: what is promised of a container holds on the level below its scope, where its processes are."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.host.cgroup.change import Status
from koordnri.model import Pod
from koordnri.model.annotations import RESOURCE_STATUS
from tests.host.fake_kernel import Cgroup, FakeKernel
from tests.reconcile.fake_node import HALVED, MIB, FakeNode, pinned_to, sandbox_of, slice_of, statuses, undone

BURST = {"cpu_burst_config": {"clusterStrategy": {"policy": "auto"}}}
MEMORY = {
    "resource_qos_config": {
        "clusterStrategy": {
            "lsClass": {
                "memoryQOS": {"enable": True, "minLimitPercent": 50, "throttlingPercent": 80, "oomKillGroup": 1}
            }
        }
    }
}


SLICES = ("kubepods.slice", *(f"kubepods.slice/kubepods-{qos}.slice" for qos in ("burstable", "besteffort")))


def node_with(**policy: Any) -> tuple[FakeNode, Pod, str]:
    """A pod of one container, limited in CPU and memory; and the container's scope."""
    node = FakeNode(2, FakeKernel(2, SLICES), crun=True)
    pod = node.pod("p", "LS", requests={"main": "16Mi"}, parent=slice_of("p"), cpu_quota=90_000, memory_limit=64 * MIB)
    scope = node.container(pod, cpu_quota=90_000, memory_limit=64 * MIB)
    node.set_policy(**policy)
    return node, pod, scope


def levels(node: FakeNode, scope: str) -> tuple[Cgroup, Cgroup]:
    return node.kernel.cgroups[scope], node.kernel.cgroups[f"{scope}/container"]


def test_a_policy_reaches_both_levels_and_both_get_back_what_kubelet_asked() -> None:
    node, _, scope = node_with()
    before = node.files()
    node.set_policy(**HALVED, **BURST, **MEMORY)
    assert statuses(node.run_pass()) == {Status.WRITTEN}
    for level in levels(node, scope):
        assert (level.quota, level.burst, level.min, level.numbers) == (
            45_000,
            45_000,
            8 * MIB,
            {"memory.oom.group": 1},
        )
        assert level.high < 64 * MIB
    assert node.kernel.violations == []
    assert node.run_pass() == []
    node.set_policy()
    node.run_pass()
    assert node.files() == before
    assert all((level.burst, level.numbers["memory.oom.group"]) == (0, 0) for level in levels(node, scope))
    assert node.kernel.violations == []
    assert node.ledger.all_originals() == {}


@pytest.mark.parametrize("lost", [0, 1], ids=["scope", "container"])
def test_what_is_lost_on_either_level_is_drift_and_healed(lost: int) -> None:
    node, _, scope = node_with(**HALVED)
    node.run_pass()
    levels(node, scope)[lost].quota = 1_000
    node.run_pass("sweep")
    assert [level.quota for level in levels(node, scope)] == [45_000, 45_000]
    assert undone(node) == {"cpu.quota": 1}
    assert node.run_pass("sweep") == []


def test_cpus_of_a_scheduler_reach_both_levels_of_container_and_sandbox() -> None:
    node = FakeNode(2, FakeKernel(2, SLICES), crun=True)
    pod = node.pod("p", "LSR", annotations=pinned_to("2,3"), parent=slice_of("p"), cpu_quota=200_000)
    scope = node.container(pod, cpu_quota=200_000)
    assert [level.cpus for level in levels(node, scope)] == [{2, 3}] * 2
    node.run_pass()
    assert [level.cpus for level in levels(node, sandbox_of(pod))] == [{2, 3}] * 2
    node.report_again(pod, {RESOURCE_STATUS.key: '{"cpuset": "4"}'})
    node.run_pass()
    for directory in (scope, sandbox_of(pod)):
        assert [level.cpus for level in levels(node, directory)] == [{4}] * 2
    assert node.kernel.violations == []
    assert node.warnings() == []


def test_a_daemon_that_comes_later_finds_the_inner_level_narrower_and_lifts_it() -> None:
    """Only to write the scope can narrow, never widen."""
    node, _, scope = node_with(**HALVED)
    node.run_pass()
    node.set_policy()
    node = node.restarted()
    node.run_pass()
    assert [level.quota for level in levels(node, scope)] == [90_000, 90_000]
