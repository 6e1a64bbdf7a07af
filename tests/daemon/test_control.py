"""What an administrator asks of a daemon that runs: the real operator over the fake node, whose reconciler has its thread."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from koordnri.chain import load_hooks
from koordnri.cpus.allocator import Allocator
from koordnri.daemon.control import Operator
from koordnri.model import Resources
from koordnri.policy import load_policy
from koordnri.policy.standing import StandingPolicy
from koordnri.reconcile.compare.rows import Released
from koordnri.reconcile.compare.running_pods import RunningPods
from koordnri.state.present import Present
from tests.daemon.sent_events import SentEvents
from tests.reconcile.fake_node import MIB, FakeNode
from tests.support.waiting import PATIENCE_S

PROTECTED = load_policy("resource-qos-config: {lsClass: {memoryQOS: {enable: true, minLimitPercent: 50}}}\n", "a test")
NO_MEMORY = load_policy("koordnri-config: {hooks: {memory: {mode: off}}}\n", "a test")


class Asked:
    """Two Burstable pods that request 16 and 32 MiB, half of which is protected; and who asks about them."""

    def __init__(self) -> None:
        self.node = node = FakeNode(2, world=lambda world: world._replace(snapshot=self.present.snapshot))
        self.present = Present(node.state, None, lambda: PROTECTED, lambda state: state, Allocator(), node.log)
        for name, request in ("a", "16Mi"), ("b", "32Mi"):
            node.container(node.pod(name, requests={"main": request}), memory_limit=64 * MIB)
        self.present.take()
        node.run_pass()
        standing = StandingPolicy(node.log)
        self.of_pods: list[tuple[str, str, str]] = []
        self.events = SentEvents(self.of_pods)
        live = RunningPods(node.ledger, node.machine)
        self.operator = Operator(load_hooks(), node.ledger, standing, live, node.requests, self.present, self.events)
        self.thread = threading.Thread(target=node.reconciler.run)
        self.thread.start()

    def protected(self, cgroup: str) -> int:
        return self.node.kernel.cgroups[cgroup].min // MIB


@pytest.fixture
def asked() -> Iterator[Asked]:
    it = Asked()
    yield it
    it.node.requests.stop()
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


def test_a_released_pod_has_an_event_and_a_release_of_all_is_one_on_the_node(asked):
    asked.operator.release("shop/a")
    ending = "left to kubelet until koordnri's daemon restarts"
    assert asked.of_pods == [("a", "Released", f"koordnri release: the pod is {ending}")]
    asked.operator.release(None)
    assert len(asked.of_pods) == 1
    text = f"koordnri release --all: all pods of this node, and those that come, are {ending}"
    assert asked.events.of_node == [("Released", text)]


def test_a_release_of_the_last_pod_gives_its_class_back(asked):
    asked.operator.release("shop/a")
    assert of_classes(asked.operator.release("shop/b"))["Burstable"] == ("", "", "", 16 * MIB, 0, "written")


def test_a_comparison_knows_what_was_in_the_files_of_the_classes_before_us(asked):
    asked.node.ledger.rebase("class:Burstable", "memory.min", 4096)
    found = asked.operator.compare(NO_MEMORY, None)
    moves = {d.kube_class: (d.field, d.before, d.after) for d in found.differences if d.kube_class}
    assert moves == {"Guaranteed": ("memory.min", 24 * MIB, 0), "Burstable": ("memory.min", 24 * MIB, 4096)}


def test_a_comparison_reads_what_kubelet_set_on_pods_and_classes(asked):
    cgroups = asked.node.kernel.cgroups
    cgroups["kubepods/burstable/a"].low, cgroups["kubepods/burstable"].low = 4 * MIB, 6 * MIB
    policy = {
        "lsClass": {"memoryQOS": {"enable": True, "minLimitPercent": 50, "lowLimitPercent": 75}},
    }
    found = asked.operator.compare(load_policy(json.dumps({"resource-qos-config": policy}), "a test"), None)
    moves = {(d.kube_class or d.pod, d.container, d.field): (d.before, d.after) for d in found.differences}
    assert {where[:2]: move for where, move in moves.items() if where[2] == "memory.low"} == {
        ("a", ""): (4 * MIB, 12 * MIB),
        ("b", ""): (0, 24 * MIB),
        ("a", "main"): (0, 12 * MIB),
        ("b", "main"): (0, 24 * MIB),
        ("Burstable", ""): (6 * MIB, 36 * MIB),
        ("Guaranteed", ""): (0, 36 * MIB),
    }


def test_a_comparison_knows_the_cpus_that_were_given_and_leaves_them_where_they_are(asked):
    node, allocator = asked.node, asked.present.allocator
    whole = {"cpu_quota": 200_000, "cpu_shares": 2048}
    pod = node.pod("own", "LSR", "Guaranteed", cpu_quota=200_000)
    node.container(pod, **whole)
    allocator.give(pod, "main", Resources(**whole), node.state)
    asked.present.take()
    before = allocator.held
    text = "koordnri-config: {hooks: {memory: {mode: off}, cpuset: {allocate: false}}}"
    found = asked.operator.compare(load_policy(text, "a test"), None)
    moves = {(d.pod, d.container, d.route): (d.before, d.after) for d in found.differences if d.field == "cpu.cpus"}
    assert moves == {("own", "main", "restart"): ("0-1", "0-7")}
    assert allocator.held is before


def test_a_comparison_with_the_policy_in_force_finds_nothing(asked):
    assert asked.operator.compare(PROTECTED, None).differences == []


def test_a_pod_that_is_not_here_is_not_found(asked):
    with pytest.raises(LookupError, match="no pod shop/gone runs on this node"):
        asked.operator.release("shop/gone")
