"""Eviction through a real kube-apiserver, by the daemon's own rights: budgets, the uid, the right itself.

There is no kubelet here: an evicted pod is marked for deletion and stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from koordnri.control.signals import PodSignals
from koordnri.daemon.eviction import Eviction
from koordnri.kube import EvictionAnswer, EvictionSender, connect
from koordnri.kube.event import Target
from koordnri.model import NodeState, Pod
from koordnri.model.pod import PodSpec
from koordnri.policy import Policy
from tests.control.evicted_node import LONG_AGO_S, evicting, node, running
from tests.daemon.sent_events import SentEvents
from tests.kube.api_server import DAEMON, Json
from tests.kube.budgets import budget, set_running
from tests.kube.control_plane import ControlPlane
from tests.kube.rights import Deployed
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.full]

ENFORCE = evicting({"perMinute": 60, "burst": 100})
OBSERVE = evicting({"mode": "observe"})


class Node:
    """Two BE pods on a node whose memory is short; evicting either is enough. `batch` goes first."""

    def __init__(self, plane: ControlPlane, kubeconfig: Path, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace
        self.pods: list[PodSignals] = []
        self.sent: list[tuple[str, str, str]] = []
        self.events = SentEvents(self.sent, announced=True)
        self.at_s = LONG_AGO_S
        log: Any = structlog.get_logger()
        self.asked = self.answers = 0
        self.sender = EvictionSender(connect(kubeconfig), self._answered, log, lambda death: None)
        self.eviction = Eviction(self._ask, lambda pod: False, self.events, log, lambda: self.at_s)
        self.at_s = 0.0
        self.sender.start()
        self.add("batch", memory=20)
        self.add("other", memory=10)

    def _ask(self, pod: Target) -> bool:
        self.asked += 1
        return self.sender.ask(pod)

    def _answered(self, answer: EvictionAnswer) -> None:
        self.eviction.answered(answer)
        self.answers += 1

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def create(self, name: str) -> Json:
        containers = [{"name": "main", "image": "x"}]
        body = {
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"containers": containers, "nodeName": "n1", "priority": 0},
        }
        made = self.plane.create(self.path, body)
        set_running(self.plane, self.namespace, name)
        return made

    def add(self, name: str, memory: float) -> None:
        uid = self.create(name)["metadata"]["uid"]
        like = running(name, memory=memory)
        pod = Pod(uid, uid, self.namespace, name, like.pod.labels, spec=PodSpec({}))
        self.pods.append(PodSignals(pod, like.load, priority=0))

    def protect(self, name: str, allowed: int) -> None:
        budget(self.plane, self.namespace, name, allowed)

    def is_leaving(self, name: str) -> bool:
        return "deletionTimestamp" in self.plane.call("GET", f"{self.path}/{name}")["metadata"]

    def tick(self, policy: Policy = ENFORCE, memory: float = 71, seconds: float = 5) -> None:
        """Time passes; what is asked for is answered before it goes on."""
        self.at_s += seconds
        self.eviction.step(node(*self.pods, at_s=self.at_s, memory=memory), policy, NodeState())
        eventually(lambda: self.answers == self.asked, "an answer to each request")

    def reported(self) -> list[tuple[str, str]]:
        return [(pod, reason) for pod, reason, _ in self.sent]


@pytest.fixture
def crowded(plane: ControlPlane, deployed: Deployed, namespace: str, tmp_path: Path) -> Iterator[Node]:
    it = Node(plane, plane.kubeconfig(tmp_path, DAEMON), namespace)
    yield it
    it.sender.stop()
    for one in it.pods:
        plane.delete(f"{it.path}/{one.pod.name}")


@pytest.mark.usefixtures("may_evict")
def test_a_pod_is_evicted_and_others_stay_while_it_leaves(crowded: Node) -> None:
    crowded.protect("batch", allowed=1)
    for _ in range(4):
        crowded.tick()
    assert crowded.is_leaving("batch")
    assert not crowded.is_leaving("other")
    assert crowded.reported() == [("batch", "Evicted")]
    assert crowded.eviction.counts == {("BEMemoryEvict", "evicted"): 1}


@pytest.mark.usefixtures("may_evict")
def test_a_budget_forbids_and_another_pod_goes(crowded: Node) -> None:
    crowded.protect("batch", allowed=0)
    for _ in range(3):
        crowded.tick()
    assert not crowded.is_leaving("batch")
    assert crowded.is_leaving("other")
    assert crowded.reported() == [("batch", "EvictionRefused"), ("other", "Evicted")]
    assert crowded.eviction.counts == {("BEMemoryEvict", "budget"): 1, ("BEMemoryEvict", "evicted"): 1}


@pytest.mark.usefixtures("may_evict")
def test_under_observe_the_api_server_is_asked_nothing(crowded: Node, plane: ControlPlane) -> None:
    before = len(plane.asked(DAEMON, "pods"))
    for _ in range(3):
        crowded.tick(OBSERVE)
    assert crowded.reported() == [("batch", "WouldEvict")]
    assert not crowded.is_leaving("batch")
    assert len(plane.asked(DAEMON, "pods")) == before


@pytest.mark.usefixtures("may_evict")
def test_another_pod_of_the_same_name_is_never_hit(crowded: Node, plane: ControlPlane) -> None:
    plane.delete(f"{crowded.path}/batch")
    crowded.create("batch")
    crowded.tick()
    crowded.tick()
    assert ("BEMemoryEvict", "replaced") in crowded.eviction.counts
    assert not crowded.is_leaving("batch")


@pytest.mark.usefixtures("may_evict")
def test_a_pod_that_is_gone_counts_as_leaving(crowded: Node, plane: ControlPlane) -> None:
    plane.delete(f"{crowded.path}/batch")
    for _ in range(3):
        crowded.tick()
    assert crowded.eviction.counts == {("BEMemoryEvict", "gone"): 1}
    assert not crowded.is_leaving("other")
    crowded.create("batch")  # for the fixture


def test_without_the_right_nobody_is_evicted_and_the_node_says_so(crowded: Node) -> None:
    for _ in range(3):
        crowded.tick()
    assert crowded.eviction.counts == {("BEMemoryEvict", "forbidden"): 1}
    assert "pods/eviction" in crowded.eviction.problem
    assert [reason for reason, _ in crowded.events.of_node] == ["EvictionImpossible"]
    assert crowded.reported() == []
    assert not crowded.is_leaving("batch")
