"""What people hear about exclusive CPUs: each thing once, until it is another."""

from __future__ import annotations

import pytest
from structlog.testing import CapturingLogger

from koordnri.cpus.allocator import Allocator
from koordnri.daemon.cpu_notices import GIVEN, LACKING, SHARES, CPUNotices
from koordnri.model import CPUSet, NodeState, Pod
from koordnri.state.present import Present
from tests.daemon.sent_events import SentEvents

POD = Pod("p", "uid-p", "shop", "p")


class Scene:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []
        self.allocator, log = Allocator(), CapturingLogger()
        self.present = Present(NodeState(name="n"), None, lambda: None, lambda node: node, self.allocator, log)
        self.notices = CPUNotices(self.allocator, self.present, SentEvents(self.events, announced=True), log)

    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.events]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_who_lacks_cpus_is_informed_once_until_it_has_some(scene):
    for _ in range(2):
        scene.notices.lacks(POD, "main", "the node is full", "wants 2 CPUs")
    scene.notices.has(POD, "main", CPUSet.parse("2-3"))
    scene.notices.has(POD, "main", CPUSet.parse("2-3"))
    scene.notices.lacks(POD, "main", "the node is full", "wants 2 CPUs")
    assert scene.events == [
        ("p", LACKING, "container main wants 2 CPUs"),
        ("p", GIVEN, "container main has CPUs 2-3 for itself"),
        ("p", LACKING, "container main wants 2 CPUs"),
    ]


def test_why_it_lacks_them_is_a_part_of_the_snapshot(scene):
    scene.notices.lacks(POD, "main", "its request is no whole number")
    assert scene.notices.why_lacking(POD, "main") == "its request is no whole number"
    assert scene.present.snapshot.node.no_exclusive_cpus == {POD.key: {"main": "its request is no whole number"}}
    assert scene.events == [("p", SHARES, "container main shares CPUs: its request is no whole number")]


def test_who_wants_none_is_not_informed(scene):
    scene.notices.lacks(POD, "main", "")
    assert scene.events == []


def test_another_pod_of_the_same_name_is_informed_again(scene):
    scene.notices.lacks(POD, "main", "full")
    scene.notices.forget_pod(POD.key)
    scene.notices.lacks(POD, "main", "full")
    assert scene.reasons() == [SHARES, SHARES]
