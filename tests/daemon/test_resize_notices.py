"""A resize in place that has no effect is reported to the pod's owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from structlog.testing import CapturingLogger

from koordnri.cpus.allocator import Allocator
from koordnri.daemon.resize_notices import ResizeNotices
from koordnri.model import Container, CPUSet, Decision, NodeState, Pod, Resources
from koordnri.policy import load_policy
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from koordnri.state.present import Present
from tests.daemon.sent_events import SentEvents

ASSIGNED = {"scheduling.koordinator.sh/resource-status": '{"cpuset": "2-3"}'}
KEEPS = "koordnri-config: {hooks: {cpuset: {keepQuota: true}}}"


def cpus(limit: float) -> Resources:
    return Resources(cpu_shares=int(limit * 1024), cpu_quota=int(limit * 100_000) or -1, cpu_period=100_000)


@dataclass
class Scene:
    """A pod with containers `main`, `side`… of these CPU limits, and the resizes of `main`."""

    limits: Mapping[str, float] = field(default_factory=lambda: {"main": 2})
    annotations: Mapping[str, str] = field(default_factory=lambda: ASSIGNED)
    claimed: Mapping[str, CPUSet] = field(default_factory=dict)
    policy: str = ""

    def resized(self, to: float) -> list[tuple[str, str, str]]:
        pod, ledger = Pod("p", "uid-p", "shop", "p", annotations=self.annotations), Ledger()
        ledger.remember_pod(pod)
        for name, limit in self.limits.items():
            ledger.remember(Entry(f"c-{name}", name, "p", cpus(limit)), Decision())
        document = load_policy(self.policy, "a test") if self.policy else None
        node = NodeState(dra_cpus={pod.key: dict(self.claimed)})
        present = Present(node, None, lambda: document, lambda node: node, Allocator(), CapturingLogger())
        present.take()
        events: list[tuple[str, str, str]] = []
        notices = ResizeNotices(ledger, present, SentEvents(events))
        notices.resized(pod, Container("c-main", "main", "p", cpus(to)))
        return events


STAYS = "container main was resized from 2 to 4 CPUs, but stays on CPUs 2-3, which "
ENDING = ": create the pod again to get others"


@pytest.mark.parametrize(
    ("scene", "to", "text"),
    [
        (Scene(), 4, f"{STAYS}the scheduler gave, without a CPU limit{ENDING}"),
        (Scene(policy=KEEPS), 4, f"{STAYS}the scheduler gave{ENDING}"),
        (
            Scene(annotations={}, claimed={"main": CPUSet([2, 3])}),
            4,
            f"{STAYS}a DRA driver gave, without a CPU limit{ENDING}",
        ),
        (
            Scene(),
            0.5,
            "container main was resized from 2 to 0.5 CPUs, but stays on CPUs 2-3, which the scheduler gave, without a CPU limit"
            + ENDING,
        ),
    ],
)
def test_a_resize_without_effect_is_reported(scene: Scene, to: float, text: str) -> None:
    assert scene.resized(to) == [("p", "ResizeIgnored", text)]


@pytest.mark.parametrize(
    ("scene", "to"),
    [
        (Scene(), 2),
        (Scene(annotations={}), 4),
        (Scene(policy=KEEPS), 1),
        (Scene({"main": 2, "side": 1}), 1),
        (Scene({"main": 2}, annotations={}, claimed={"side": CPUSet([2])}), 4),
        (Scene(), 0),
        (Scene({"main": 0}), 4),
    ],
    ids=[
        "the same limit",
        "shared CPUs",
        "a kept quota below its CPUs",
        "together as many as the pod has",
        "another container's claim",
        "to no limit",
        "from no limit",
    ],
)
def test_any_other_resize_is_not(scene: Scene, to: float) -> None:
    assert scene.resized(to) == []


def test_a_container_that_is_not_known_is_not() -> None:
    assert Scene({"side": 2}).resized(4) == []
