"""CPU suppress from the node state to the files, and back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koordnri.host.cgroup.change import Status
from koordnri.model import CPUSet
from koordnri.model.control import NO_CONTROL, Control, Wanted
from koordnri.model.node import Pool
from tests.reconcile.fake_node import FakeNode, batch_of, quotas_of, statuses, undone

CLASS = "kubepods/besteffort"
LOCAL = {"pools_are_local": True, "be_pools": (Pool(0, 0, "0-5"),)}
"""a node whose BE containers have a cpuset of their own"""


def node_of(version: int, **more: object) -> FakeNode:
    node = FakeNode(version)
    node.state = replace(node.state, **more)  # type: ignore[arg-type]
    batch = node.pod("batch", "BE", "BestEffort", batch_of(main=(500, 96)))
    node.container(batch)
    node.container(node.pod("web", "LS"))
    node.run_pass()
    return node


def wants(node: FakeNode, cpus: str = "", quota_us: int = 0) -> None:
    """As `Controlled.publish` does it."""
    control = Control(
        be_cpus=Wanted(CPUSet.parse(cpus), "x") if cpus else None,
        be_quota_us=Wanted(quota_us, "x") if quota_us else None,
    )
    node.state = replace(node.state, control=control if cpus or quota_us else NO_CONTROL)
    node.reconciler.reconcile("control", [pod for pod in node.ledger.pods() if pod.id == "batch"], above=True)


def cpus_of(node: FakeNode, cgroup: str) -> str:
    return str(CPUSet(node.kernel.cgroups[cgroup].cpus or ()))


def test_on_v2_one_write_narrows_all_best_effort_work():
    node = node_of(2)
    wants(node, "0-2")
    assert cpus_of(node, CLASS) == "0-2"
    assert cpus_of(node, f"{CLASS}/batch/batch-main") == ""
    wants(node, "0-4")
    assert cpus_of(node, CLASS) == "0-4"
    wants(node)
    assert cpus_of(node, CLASS) == "0-7"
    assert node.ledger.originals("class:BestEffort") == {}


def test_containers_with_a_cpuset_of_their_own_are_narrowed_by_the_kernel_and_that_is_no_failure():
    node = node_of(2, **LOCAL)
    assert cpus_of(node, f"{CLASS}/batch/batch-main") == "0-5"
    wants(node, "0-2")
    for trigger in ("sweep", "change", "asked"):
        node.run_pass(trigger)
    assert cpus_of(node, CLASS) == "0-2"
    assert cpus_of(node, f"{CLASS}/batch/batch-main") == "0-5"
    assert node.warnings() == []
    assert undone(node) == {}
    assert node.reconciler.not_applied() == []


def test_what_somebody_else_narrows_is_still_reported():
    node = node_of(2, **LOCAL)
    wants(node, "0-2")
    node.kernel.cgroups[f"{CLASS}/batch"].cpus = frozenset({0})
    assert Status.DRIFTED_BACK in statuses(node.run_pass("sweep"))


def test_on_v1_each_container_is_narrowed_and_gets_its_cpus_back():
    node = node_of(1)
    wants(node, "0-2")
    assert cpus_of(node, f"{CLASS}/batch/batch-main") == "0-2"
    assert cpus_of(node, CLASS) == cpus_of(node, f"{CLASS}/batch") == "0-7"
    wants(node)
    assert cpus_of(node, f"{CLASS}/batch/batch-main") == "0-7"


@pytest.mark.parametrize("version", [1, 2])
def test_a_quota_of_the_class_replaces_those_below_it(version):
    node = node_of(version)
    before = quotas_of(node)
    assert before["batch-main"] == 50_000
    wants(node, quota_us=30_000)
    assert quotas_of(node) == {"besteffort": 30_000}
    wants(node, quota_us=20_000)
    assert quotas_of(node) == {"besteffort": 20_000}
    wants(node)
    assert quotas_of(node) == before


@pytest.mark.parametrize("version", [1, 2])
def test_after_a_crash_the_next_start_takes_it_back(version):
    node = node_of(version)
    before = node.files()
    wants(node, "0-2")
    after = node.restarted()
    after.state = replace(after.state, control=NO_CONTROL)
    after.run_pass()
    # An emptied cpuset cannot be had again on v2; all CPUs limit nothing.
    expected = before | ({f"{CLASS}/cpuset.cpus": "0,1,2,3,4,5,6,7"} if version == 2 else {})
    assert after.files() == expected


def test_creations_need_not_wait_for_a_full_pass_after_each_step():
    node = node_of(2)
    wants(node, "0-2")
    node.run_pass("sweep")
    applied = node.reconciler._passes.applied
    wants(node, "0-3")
    now = node.reconciler._passes.applied
    assert applied is not now
    assert now is not None
    assert now.node.control is node.state.control
