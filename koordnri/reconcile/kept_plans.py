"""The last plan of each pod, as long as nothing has changed that it depends on."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from koordnri.chain import Snapshot
from koordnri.model import Pod
from koordnri.model.control import NO_CONTROL
from koordnri.reconcile.plan import PodPlan
from koordnri.state.ledger import Ledger
from koordnri.state.world import World


class KeptPlans:
    """Used by the reconcile thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._under: tuple[Snapshot, str, int] | None = None
        """snapshot, runtime and version of the ledger that the plans are based on"""
        self._plans: dict[str, tuple[Pod, PodPlan, tuple[object, ...]]] = {}
        """id of a pod → the pod, its plan, and what controllers wanted of it"""

    def get(self, pod: Pod, world: World) -> PodPlan | None:
        """The pod's last plan, if nothing has changed on the node since: the chain is pure, so it would be the same."""
        under = (world.snapshot, world.runtime, self._ledger.edits)
        if self._under is None or self._under[1:] != under[1:] or not mean_the_same(self._under[0], under[0]):
            self._plans.clear()
        self._under = under
        pod_then, plan, wanted = self._plans.get(pod.id, (None, None, ()))
        if plan is None or pod_then is not pod or self._ledger.creating == pod.id:
            return None
        return plan if wanted == _wanted_of(pod, plan, world) else None

    def put(self, pod: Pod, plan: PodPlan, world: World) -> None:
        """The pod was decided again, in this world."""
        self._plans[pod.id] = (pod, plan, _wanted_of(pod, plan, world))


def _wanted_of(pod: Pod, plan: PodPlan, world: World) -> tuple[object, ...]:
    node = world.snapshot.node
    return node.control.of_pod(pod, (container_id for container_id, _ in plan.containers), node.cgroup_version)


def mean_the_same(one: Snapshot, other: Snapshot) -> bool:
    """Whether decisions under both snapshots are the same, up to what controllers want: an edit may change parts that no decision reads.

    What controllers want changes every few seconds and concerns few pods: see `Control.of_pod`.
    """
    if one is other:
        return True
    first, second = (
        msgspec.structs.replace(s.policy, revision="", source="", strategies={}, notes=()) for s in (one, other)
    )
    if first != second:
        return False
    return one.node == other.node or replace(one.node, control=NO_CONTROL) == replace(other.node, control=NO_CONTROL)
