"""Whom the reconciler is woken for when controllers want something else."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import CapturingLogger

from koordnri.cpus.allocator import Allocator
from koordnri.daemon.controlled import Controlled
from koordnri.model import CPUSet, Decision, NodeState, Pod, Resources
from koordnri.model.control import NO_CONTROL, Control, Wanted
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from koordnri.state.present import Present
from tests.support.pods import pod as pod_of


class FakeRequests:
    """Notes what the reconciler is asked for."""

    def __init__(self) -> None:
        self.controls: list[tuple[set[str], bool]] = []
        self.asked: list[list[Pod]] = []
        self.answers = True

    def control(self, pods: frozenset[str], *, above: bool) -> None:
        self.controls.append((set(pods), above))

    def ask(self, pods: list[Pod], timeout_s: float) -> list[Any]:
        self.asked.append(pods)
        if not self.answers:
            raise TimeoutError("the reconciler did not come round")
        return []


class Node:
    """Three pods: two of Kubernetes' BestEffort, and a service."""

    def __init__(self, version: int = 2) -> None:
        self.log, self.requests, ledger = CapturingLogger(), FakeRequests(), Ledger()
        state = NodeState(cgroup_version=version)
        self.present = Present(state, None, lambda: None, lambda node: node, Allocator(), self.log)
        for name, qos, parent in (("a", "BE", "besteffort"), ("b", "BE", "besteffort"), ("web", "LS", "burstable")):
            pod = pod_of(qos, f"/kubepods/{parent}/{name}", name=name)
            ledger.remember_pod(pod)
            ledger.remember(Entry(f"{name}-main", "main", pod.id, Resources()), Decision())
        self.controlled = Controlled(self.present, ledger, self.requests, self.log)  # type: ignore[arg-type]


def cpus(text: str) -> Control:
    return Control(be_cpus=Wanted(CPUSet.parse(text), "x"))


def test_on_v2_cpus_of_best_effort_work_concern_its_class_alone():
    node = Node()
    node.controlled.publish(cpus("0-1"))
    node.controlled.publish(cpus("0"))
    assert node.requests.controls == [(set(), True)] * 2
    assert node.present.snapshot.node.control == cpus("0")


def test_on_v1_they_concern_each_of_its_pods():
    node = Node(1)
    node.controlled.publish(cpus("0-1"))
    assert node.requests.controls == [({"a", "b"}, True)]


def test_a_quota_concerns_the_pods_once_and_then_the_class():
    node = Node()
    for quota_us in (5, 6):
        node.controlled.publish(Control(be_quota_us=Wanted(quota_us, "x")))
    assert node.requests.controls == [({"a", "b"}, True), (set(), True)]


def test_a_containers_value_concerns_its_pod():
    node = Node()
    node.controlled.publish(Control(quotas_us={"web-main": Wanted(5, "x")}))
    assert node.requests.controls == [({"web"}, False)]


def test_another_reason_alone_wakes_nobody():
    node = Node()
    node.controlled.publish(Control(be_quota_us=Wanted(5, "x")))
    node.controlled.publish(Control(be_quota_us=Wanted(5, "y")))
    assert len(node.requests.controls) == 1


@pytest.mark.parametrize("answers", [True, False])
def test_at_the_end_it_waits_until_all_is_given_back(answers):
    node = Node()
    node.controlled.settle(1.0)
    assert node.requests.asked == [], "nothing was ever wanted"
    node.controlled.publish(cpus("0-1"))
    node.controlled.publish(NO_CONTROL)
    node.requests.answers = answers
    node.controlled.settle(1.0)
    assert node.requests.asked == [[]]
    assert any(call.args == ("controllers_not_undone",) for call in node.log.calls) is not answers
