"""What runs, read from its files for a comparison."""

from __future__ import annotations

import pytest

from koordnri.model import KubeQoS, fields
from koordnri.model.class_cgroup import ClassCgroup
from koordnri.reconcile.compare.running_pods import RunningPods
from tests.reconcile.fake_node import HALVED, FakeNode
from tests.support.pods import pod


@pytest.fixture
def node() -> FakeNode:
    node = FakeNode(2)
    node.container(node.pod("p", "LS", cpu_quota=80_000), cpu_quota=80_000)
    return node


def test_a_pod_has_what_its_files_show_and_its_containers(node: FakeNode) -> None:
    (found,) = RunningPods(node.ledger, node.machine).running(node.ledger.pods())
    assert found.pod.resources.cpu_quota == 80_000
    assert [container.name for container in found.containers] == ["main"]
    assert found.files.read(fields.CPU_QUOTA, "").value == 80_000


def test_a_pod_that_koordnri_changed_has_what_kubelet_set(node: FakeNode) -> None:
    node.set_policy(**HALVED)
    node.run_pass("change")
    (found,) = RunningPods(node.ledger, node.machine).running(node.ledger.pods())
    assert found.pod.resources.cpu_quota == 80_000
    assert found.files.read(fields.CPU_QUOTA, "").value == 40_000


def test_of_a_pod_without_a_cgroup_the_report_is_left(node: FakeNode) -> None:
    odd = pod(parent="../outside", name="odd")
    (found,) = RunningPods(node.ledger, node.machine).running([odd])
    assert (found.pod, found.containers) == (odd, [])


def test_above_the_pods_kubelets_values_are_read_too(node: FakeNode) -> None:
    cgroup = ClassCgroup(KubeQoS.BURSTABLE, "kubepods/burstable")
    (found,) = RunningPods(node.ledger, node.machine).above([cgroup])
    assert found.cgroup is cgroup
    assert found.resources.cpu_quota == -1
