"""What an administrator asks of a daemon that runs: the real operator over the fake node, whose reconciler has its thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from koordnri.chain import Snapshot, load_hooks
from koordnri.operator import Operator
from koordnri.policy import PolicyDocument, load_policy, resolve
from koordnri.policy.standing import StandingPolicy
from koordnri.reconcile.comparison import Released
from tests.reconcile.fake_node import MIB, FakeNode

PROTECTED = {
    "resource_qos_config": {"clusterStrategy": {"lsClass": {"memoryQOS": {"enable": True, "minLimitPercent": 50}}}}
}
NO_MEMORY = "koordnri-config: {hooks: {memory: {mode: off}}}\n"
PATIENCE_S = 20.0


class Asked:
    """Two Burstable pods that request 16 and 32 MiB, half of which is protected; and who asks about them."""

    def __init__(self) -> None:
        self.node = node = FakeNode(2)
        node.set_policy(**PROTECTED)
        for name, request in ("a", "16Mi"), ("b", "32Mi"):
            node.container(node.pod(name, requests={"main": request}), memory_limit=64 * MIB)
        node.run_pass()
        standing = StandingPolicy(node.log, lambda: None, lambda refused: None)
        self.operator = Operator(load_hooks(), node.ledger, standing, node.reconciler, self._snapshot, self._let_go)
        self.thread = threading.Thread(target=node.reconciler.run)
        self.thread.start()

    def _snapshot(self, document: PolicyDocument | None) -> Snapshot:
        state = self.node.state
        return self.node.snapshot if document is None else Snapshot.of(resolve(document, state.name, {}), state)

    def _let_go(self, pods: frozenset[str]) -> None:
        self.node.state = replace(self.node.state, released=self.node.state.released | pods)

    def protected(self, cgroup: str) -> int:
        return self.node.kernel.cgroups[cgroup].min // MIB


@pytest.fixture
def asked() -> Iterator[Asked]:
    it = Asked()
    yield it
    it.node.reconciler.stop()
    it.thread.join(PATIENCE_S)


def of_classes(rows: list[Released]) -> dict[str, tuple[Any, ...]]:
    return {r.kube_class: (r.namespace, r.pod, r.container, r.before, r.after, r.status) for r in rows if r.kube_class}


def test_a_release_of_all_lists_what_was_given_back_of_the_classes_last(asked):
    rows = asked.operator.release(None)
    assert of_classes(rows) == {
        "Guaranteed": ("", "", "", 24 * MIB, 0, "written"),
        "Burstable": ("", "", "", 24 * MIB, 0, "written"),
    }
    assert [bool(row.kube_class) for row in rows] == sorted(bool(row.kube_class) for row in rows)
    assert {r.pod for r in rows if not r.kube_class} == {"a", "b"}
    assert asked.protected("kubepods") == asked.protected("kubepods/burstable") == 0


def test_a_release_of_one_pod_leaves_the_classes_with_the_sum_of_the_others(asked):
    rows = asked.operator.release("shop/a")
    assert {r.pod for r in rows} == {"a"}
    assert of_classes(rows) == {}
    assert asked.protected("kubepods") == asked.protected("kubepods/burstable") == 16


def test_a_release_of_the_last_pod_gives_its_class_back(asked):
    asked.operator.release("shop/a")
    assert of_classes(asked.operator.release("shop/b"))["Burstable"] == ("", "", "", 16 * MIB, 0, "written")


def test_a_comparison_knows_what_was_in_the_files_of_the_classes_before_us(asked):
    asked.node.ledger.rebase("class:Burstable", "memory.min", 4096)
    found = asked.operator.compare(load_policy(NO_MEMORY, "a test"), None)
    moves = {d.kube_class: (d.field, d.before, d.after) for d in found.differences if d.kube_class}
    assert moves == {"Guaranteed": ("memory.min", 24 * MIB, 0), "Burstable": ("memory.min", 24 * MIB, 4096)}


def test_a_comparison_with_the_policy_in_force_finds_nothing(asked):
    policy = load_policy("resource-qos-config: {lsClass: {memoryQOS: {enable: true, minLimitPercent: 50}}}\n", "a test")
    assert asked.operator.compare(policy, None).differences == []


def test_a_pod_that_is_not_here_is_not_found(asked):
    with pytest.raises(LookupError, match="no pod shop/gone runs on this node"):
        asked.operator.release("shop/gone")
