"""The CPUs of a pod's sandbox, the pause container: as its pod's containers that share, and given back. The node is a fake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from koordnri.chain import Chain, load_hooks
from koordnri.model import CPUSet, Pod
from koordnri.model.node import Pool
from koordnri.model.topology import Topology
from koordnri.reconcile.compare.compare import compare
from koordnri.reconcile.compare.running_pods import RunningPods
from tests.host.fake_kernel import Cgroup
from tests.reconcile.fake_node import FakeNode, pinned_to, sandbox_of, undone

BOTH = pytest.mark.parametrize("version", [1, 2])
OFF: dict[str, Any] = {"koordnri_config": {"clusterStrategy": {"hooks": {"cpuset": {"mode": "off"}}}}}
ALL = frozenset(range(8))


def node_with_pool(version: int, cpus: str = "0-5") -> FakeNode:
    node = FakeNode(version)
    share(node, cpus)
    return node


def share(node: FakeNode, cpus: str) -> None:
    node.state = replace(node.state, ls_pools=(Pool(0, 0, cpus),))


def release(node: FakeNode, pod: Pod) -> None:
    node.state = replace(node.state, released=frozenset({pod.id}))


def without(version: int) -> frozenset[int] | None:
    """What the runtime gives to a sandbox: on v1 its parent's, on v2 none of its own."""
    return ALL if version == 1 else None


def sandbox(node: FakeNode, pod: Pod) -> Cgroup:
    return node.kernel.cgroups[sandbox_of(pod)]


@BOTH
def test_it_follows_the_share_pool_and_the_pods_own_cgroup_stays(version: int) -> None:
    node = node_with_pool(version)
    pod = node.pod("p", "LS")
    own = node.kernel.cgroups["kubepods/burstable/p"]
    node.run_pass("pod")
    assert sandbox(node, pod).cpus == frozenset(range(6)), "before it has any container"
    node.container(pod)
    node.run_pass("pod")
    share(node, "2-7")
    node.run_pass()
    assert sandbox(node, pod).cpus == frozenset(range(2, 8))
    assert own.cpus == without(version)
    assert node.run_pass("sweep") == []
    assert (node.kernel.violations, node.warnings()) == ([], [])


@BOTH
def test_it_has_its_pods_assigned_cpus_and_gets_back_what_it_had(version: int) -> None:
    node = node_with_pool(version)
    pod = node.pod("p", "LSR", "Guaranteed", pinned_to("6,7"))
    node.container(pod)
    node.run_pass()
    assert sandbox(node, pod).cpus == {6, 7}

    release(node, pod)
    node.run_pass("asked")
    assert sandbox(node, pod).cpus == ALL, "which v2 does not take for none again"
    assert node.ledger.originals(pod.id) == {}
    assert node.warnings() == []


@BOTH
def test_beside_containers_with_exclusive_cpus_it_shares(version: int) -> None:
    node = node_with_pool(version)
    pod = node.pod("p", "LSR", "Guaranteed")
    node.state = replace(node.state, exclusive_cpus={pod.key: {"main": CPUSet([6, 7])}})
    container = node.container(pod)
    node.run_pass()
    assert node.kernel.cgroups[container].cpus == {6, 7}
    assert sandbox(node, pod).cpus == frozenset(range(6))


@BOTH
def test_it_follows_while_a_container_is_being_made(version: int) -> None:
    node = node_with_pool(version, "0-7")
    pod = node.pod("p", "LS")
    node.container(pod)
    (entry,) = node.ledger.containers_of(pod.id)
    entry.started = False
    share(node, "0-1")
    node.run_pass("pod")
    assert sandbox(node, pod).cpus == {0, 1}


@BOTH
def test_a_restarted_daemon_gives_back_what_was_there_before_the_one_before(version: int) -> None:
    node = node_with_pool(version)
    pod = node.pod("p", "LS")
    node.container(pod)
    node.run_pass()

    node = node.restarted()
    share(node, "0-3")
    node.run_pass()
    assert sandbox(node, pod).cpus == {0, 1, 2, 3}
    node = node.restarted()
    node.set_policy(**OFF)
    node.run_pass()
    assert sandbox(node, pod).cpus == ALL


@BOTH
def test_what_somebody_else_writes_there_is_healed_in_a_sweep_and_not_given_back(version: int) -> None:
    node = node_with_pool(version)
    pod = node.pod("p", "LS")
    node.run_pass()
    sandbox(node, pod).cpus = frozenset({7})
    node.run_pass("sweep")
    assert sandbox(node, pod).cpus == frozenset(range(6))
    assert undone(node)["cpu.cpus"] == 1
    node.set_policy(**OFF)
    node.run_pass()
    assert sandbox(node, pod).cpus == ALL


def test_on_v1_it_gets_back_those_that_are_still_online() -> None:
    node = node_with_pool(1)
    pod = node.pod("p", "LS")
    node.run_pass()
    node.kernel.online = frozenset(range(7))
    for cgroup in node.kernel.cgroups.values():  # as the kernel of v1 does
        cgroup.cpus = cgroup.cpus and cgroup.cpus - {7}
    node.state = replace(node.state, topology=Topology.regular(1, 1, 7, 1))
    node.set_policy(**OFF)
    node.run_pass()
    assert sandbox(node, pod).cpus == frozenset(range(7))
    assert node.warnings() == []


@BOTH
def test_a_kata_pods_is_its_virtual_machine_and_left_alone(version: int) -> None:
    node = node_with_pool(version)
    pod = node.pod("p", "LSR", "Guaranteed", pinned_to("6,7"))
    pod.runtime_handler = "kata-qemu"
    container = node.container(pod)
    node.run_pass()
    assert sandbox(node, pod).cpus == without(version)
    assert node.kernel.cgroups[container].cpus == {6, 7}


@BOTH
@pytest.mark.parametrize("annotation", ["{", '{"cpuset": "7-6"}'])
def test_with_an_annotation_that_became_unreadable_it_shares(version: int, annotation: str) -> None:
    node = node_with_pool(version)
    pod = node.pod("p", "LSR", "Guaranteed", pinned_to("6,7"))
    node.run_pass()
    node.report_again(pod, dict.fromkeys(pod.annotations, annotation))
    node.run_pass()
    assert sandbox(node, pod).cpus == frozenset(range(6))


@BOTH
def test_without_a_pause_container_nothing_is_tried_reported_or_compared(version: int) -> None:
    node = node_with_pool(version)
    pod = node.pod("p", "LS", sandbox=False)
    node.container(pod)
    outcomes = node.run_pass()
    assert sandbox_of(pod) not in {o.change.directory for o in outcomes}
    assert node.run_pass("sweep") == []
    assert node.ledger.originals(pod.id) == {}
    assert node.warnings() == []

    (running,) = RunningPods(node.ledger, node.machine).running([pod])
    node.set_policy(**OFF)
    off, on = node.snapshot, node_with_pool(version).snapshot
    chain = Chain(load_hooks())
    found = compare(chain, [running._replace(sandbox=False)], off, on)
    assert {d.container for d in found.differences} == {"main"}
    (row,) = [d for d in compare(chain, [running._replace(sandbox=True)], off, on).differences if not d.container]
    assert (row.field, row.after, row.reason) == ("cpu.cpus", "0-5", "sandbox: share pools of LS")


@BOTH
def test_a_sandbox_that_vanished_is_no_error(version: int) -> None:
    node = node_with_pool(version)
    pod = node.pod("p", "LS")
    node.container(pod)
    node.run_pass()
    del node.kernel.cgroups[sandbox_of(pod)]
    share(node, "0-1")
    for trigger in ("change", "sweep", "asked"):
        node.run_pass(trigger)
    release(node, pod)
    node.run_pass("asked")
    assert node.warnings() == []
    assert not node.reconciler.stats.failures
