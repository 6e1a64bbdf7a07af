"""What the reconciler finds reaches those whom it concerns."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import CapturingLogger

from koordnri.daemon.reports import REASON, ReconcilerReports
from koordnri.model import CPUSet, Decision, NodeState, Pod, Resources
from koordnri.model.class_cgroup import ClassCgroup
from koordnri.model.verdict import Verdict
from koordnri.observe.decisions import DecisionLog
from koordnri.policy.trust import another_has
from koordnri.reconcile.failures import Failure
from koordnri.reconcile.owner import ClassOwner, ContainerOwner, KnownFiles, Owner, PodOwner
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from tests.daemon.sent_events import SentEvents
from tests.support.pods import pod

POD = pod(name="p")


class Allocation:
    """Of exclusive CPUs, only that a pod went."""

    def __init__(self) -> None:
        self.went: list[str] = []

    def pod_went(self, one: Pod) -> None:
        self.went.append(one.id)


class Scene:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []
        self.sent, self.log, self.ledger, self.cpus = SentEvents(self.events), CapturingLogger(), Ledger(), Allocation()
        self.ledger.remember_pod(POD)
        self.ledger.remember(Entry("c", "main", "p", Resources()), Decision())
        cpus: Any = self.cpus
        self.reports = ReconcilerReports(self.sent, DecisionLog(self.log), None, self.ledger, cpus, self.log)

    def owner(self, kind: str) -> Owner:
        files, entry = KnownFiles(), self.ledger.container("c")
        assert entry is not None
        return {
            "container": lambda: ContainerOwner(POD, entry, self.ledger),
            "pod": lambda: PodOwner(POD, files),
            "root": lambda: ClassOwner(ClassCgroup(None, "."), files),
        }[kind]()


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize(("kind", "where"), [("container", "container main: "), ("pod", "")])
def test_a_file_that_does_not_take_its_value_is_an_event_on_its_pod(scene: Scene, kind: str, where: str) -> None:
    scene.reports.not_applied(Failure(scene.owner(kind), "kubepods/p", "memory.high", 5, "refused", "in use"))
    assert scene.events == [("p", REASON, f"{where}memory.high = 5: in use")]
    assert scene.sent.of_node == []


def test_of_a_cgroup_above_the_pods_it_is_one_on_the_node(scene: Scene) -> None:
    scene.reports.not_applied(Failure(scene.owner("root"), ".", "io.cost.qos", "x", "refused", "no such disk"))
    assert scene.sent.of_node == [(REASON, "cgroup root: io.cost.qos = x: no such disk")]
    assert scene.events == []


def test_a_pod_that_vanished_is_forgotten_and_its_cpus_are_free(scene: Scene) -> None:
    scene.reports.pod_gone(POD)
    assert scene.ledger.pod("p") is None
    assert scene.cpus.went == ["p"]
    assert [call.args for call in scene.log.calls if call.method_name == "info"] == [("pod_gone_unreported",)]


def test_verdicts_that_depend_on_the_node_are_reported_once(scene: Scene) -> None:
    disputed = another_has(CPUSet.parse("3"), observed=False)
    over = Verdict("exclusiveCPUs", "exclusive CPUs", "observed", "too many")
    node = NodeState(disputed_cpus={POD.key: disputed}, over_limits={POD.key: over})
    decisions = DecisionLog(scene.log, warn_pod=scene.sent.warn_pod)
    reports = ReconcilerReports(scene.sent, decisions, None, scene.ledger, None, scene.log, lambda: node)
    for _ in range(2):
        reports.decided_again(POD, "", Decision())
        reports.decided_again(POD, "main", Decision())
    assert decisions.verdicts == {("resourceStatus", "refused"): 1, ("exclusiveCPUs", "observed"): 1}
    assert scene.events == [("p", "NotEntitled", str(disputed))], "an observed one is no Event"
