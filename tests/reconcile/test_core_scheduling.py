"""Core scheduling cookies by group. The kernel is a table of cookies."""

from __future__ import annotations

import dataclasses
import errno
from typing import Any

import pytest
from structlog.testing import CapturingLogger

from koordnri.chain import Snapshot
from koordnri.host.core_scheduling import CoreScheduling
from koordnri.model import Decision, NodeState, Resources
from koordnri.reconcile.core_scheduling import (
    GROUP_LABEL,
    ORIGINAL,
    POLICY_LABEL,
    CoreSchedulingGroups,
    group_of,
)
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from koordnri.state.world import World
from tests.host.test_core_scheduling import FakeKernel
from tests.support.pods import BESTEFFORT, pod
from tests.support.policies import policy_of

NODE = NodeState(writes=frozenset({"processes"}))
ENABLED = {"enable": True, "coreExpeller": False}


def core_sched(**classes: Any) -> Any:
    of_classes = {f"{name}Class": {"cpuQOS": asked} for name, asked in classes.items()}
    return policy_of(resource_qos_config={"clusterStrategy": {"policies": {"cpuPolicy": "coreSched"}, **of_classes}})


ON = core_sched(ls={"enable": True}, be=ENABLED)
"""LS expels by default, BE does not."""


@pytest.mark.parametrize(
    ("qos", "labels", "group"),
    [
        ("LS", {}, "-expeller"),
        ("BE", {}, ""),
        ("LS", {GROUP_LABEL: "a"}, "shop/a-expeller"),
        ("BE", {POLICY_LABEL: "exclusive", GROUP_LABEL: "a"}, "uid-web"),
        ("BE", {POLICY_LABEL: "none"}, None),
        ("LSR", {}, None),
        ("SYSTEM", {}, None),
    ],
)
def test_the_group_follows_from_class_and_labels(qos: str, labels: dict[str, str], group: str | None) -> None:
    assert group_of(pod(qos, labels=labels), Snapshot.of(ON, NODE)) == group


@pytest.mark.parametrize(
    ("policy", "node"),
    [
        (policy_of(), NODE),
        (ON, NodeState()),
        (ON, dataclasses.replace(NODE, released=frozenset("*"))),
        (core_sched(), NODE),
    ],
    ids=["another-policy", "no-right", "released", "class-not-enabled"],
)
def test_otherwise_nobody_is_in_a_group(policy: Any, node: NodeState) -> None:
    assert group_of(pod("LS"), Snapshot.of(policy, node)) is None


class Node:
    """Containers with their processes: `web` and `db` are LS, `job` is BE."""

    def __init__(self) -> None:
        self.kernel = FakeKernel(dict.fromkeys((10, 11, 20, 30), 0))
        self.pids = {"c-web": [10, 11], "c-db": [20], "c-job": [30]}
        self.ledger = Ledger()
        for name, qos, parent in (("web", "LS", None), ("db", "LS", None), ("job", "BE", BESTEFFORT)):
            self.ledger.remember_pod(one := pod(qos, parent, name=name))
            self.ledger.remember(Entry(f"c-{name}", "main", one.id, Resources()), Decision())
        self.log = CapturingLogger()
        self.groups = CoreSchedulingGroups(
            self.kernel.root, self.ledger, self.log, CoreScheduling(self.kernel.call), self._processes
        )

    def _processes(self, directory: str) -> list[int]:
        return next(pids for container, pids in self.pids.items() if container in directory)

    def follow(self, policy: Any = ON, node: NodeState = NODE) -> dict[int, int]:
        self.groups.follow(World(Snapshot.of(policy, node), "containerd"))
        return dict(self.kernel.cookies)


def test_a_group_has_one_cookie_and_another_group_another() -> None:
    cookies = Node().follow()
    assert cookies[10] == cookies[11] == cookies[20] != 0
    assert cookies[30] not in (0, cookies[10])


def test_nothing_is_written_again_and_a_process_without_the_cookie_gets_it() -> None:
    node = Node()
    before = node.follow()
    edits, calls = node.ledger.edits, node.kernel.writes
    assert node.follow() == before
    assert (node.ledger.edits, node.kernel.writes) == (edits, calls)
    node.kernel.cookies[12] = 0
    node.pids["c-web"].append(12)
    assert node.follow()[12] == before[10]


def test_cookies_are_given_back_when_the_policy_changes_and_only_ours() -> None:
    node = Node()
    node.follow()
    node.kernel.cookies[20] = 77
    only_be = core_sched(be=ENABLED)
    cookies = node.follow(only_be)
    assert (cookies[10], cookies[11], cookies[20]) == (0, 0, 0)
    assert cookies[30] != 0
    assert ORIGINAL not in node.ledger.originals("c-web")
    node.kernel.cookies[10] = 5
    assert node.follow(policy_of())[10] == 5, "a program's own"


def test_groups_that_part_get_different_cookies() -> None:
    node = Node()
    together = node.follow(core_sched(ls=ENABLED, be=ENABLED))
    assert len(set(together.values())) == 1
    apart = node.follow(ON)
    assert apart[10] == apart[20] != apart[30]


def test_a_kernel_without_it_is_reported_once() -> None:
    node = Node()
    node.kernel.refuses = errno.EINVAL
    node.follow()
    node.follow()
    assert [call.kwargs["error"] for call in node.log.calls] == [
        "its kernel has no core scheduling (CONFIG_SCHED_CORE)"
    ]
