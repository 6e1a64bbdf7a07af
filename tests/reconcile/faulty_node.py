"""Many pods of which one has a bug."""

from __future__ import annotations

from typing import Any

from structlog.testing import CapturingLogger

from koordnri.state.containment import Faults
from tests.reconcile.fake_node import HALVED, FakeNode, quotas_of


def many(number: int = 200, **options: Any) -> tuple[FakeNode, Faults, list[str]]:
    """So many pods under a policy that has come since; who hears of faults."""
    reported: list[str] = []
    faults = Faults(
        CapturingLogger(), lambda pod, reason, message: reported.append(pod.name), lambda *_: reported.append("node")
    )
    node = FakeNode(2, faults=faults, **options)
    for i in range(number):
        node.container(node.pod(f"p{i}", "LS", cpu_quota=80_000), cpu_quota=80_000)
    node.set_policy(**HALVED)
    return node, faults, reported


def halved(node: FakeNode) -> set[str]:
    """Pods whose container has its new quota."""
    return {
        name.removesuffix("-main")
        for name, quota in quotas_of(node).items()
        if name.endswith("-main") and quota == 40_000
    }


class Unspeakable(str):
    """A text that cannot be put anywhere: a stand-in for a bug in what follows from one pod."""

    def count(self, *_: object) -> int:
        raise ZeroDivisionError
