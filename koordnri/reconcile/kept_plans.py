"""The last plan of each pod, as long as nothing has changed that it depends on."""

from __future__ import annotations

import msgspec

from koordnri.chain import Snapshot
from koordnri.model import Pod
from koordnri.reconcile.plan import PodPlan
from koordnri.state.ledger import Ledger
from koordnri.state.world import World


class KeptPlans:
    """Used by the reconcile thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._under: tuple[Snapshot, str, int] | None = None
        """snapshot, runtime and version of the ledger that the plans are based on"""
        self._plans: dict[str, tuple[Pod, PodPlan]] = {}

    def get(self, pod: Pod, world: World) -> PodPlan | None:
        """The pod's last plan, if nothing has changed on the node since: the chain is pure, so it would be the same."""
        under = (world.snapshot, world.runtime, self._ledger.edits)
        if self._under is None or self._under[1:] != under[1:] or not mean_the_same(self._under[0], under[0]):
            self._plans.clear()
        self._under = under
        pod_then, plan = self._plans.get(pod.id, (None, None))
        return plan if pod_then is pod and self._ledger.creating != pod.id else None

    def put(self, pod: Pod, plan: PodPlan) -> None:
        """The pod was decided again."""
        self._plans[pod.id] = (pod, plan)


def mean_the_same(one: Snapshot, other: Snapshot) -> bool:
    """Whether decisions under both snapshots are the same: an edit may change parts that no decision reads."""
    if one is other:
        return True
    first, second = (
        msgspec.structs.replace(s.policy, revision="", source="", strategies={}, notes=()) for s in (one, other)
    )
    return first == second and one.node == other.node
