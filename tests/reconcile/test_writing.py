"""Writing goals: originals first, and a bug costs one pod."""

from __future__ import annotations

from typing import Any

from koordnri.model import Pod
from koordnri.reconcile.plan import PodPlan
from tests.reconcile.faulty_node import Unspeakable, halved, many


def test_a_fault_in_writing_one_pods_files_loses_none_of_the_others():
    node, faults, reported = many()
    node.run_pass()
    node.set_policy()
    plan = node.reconciler._passes._planner.plan

    def planned(pod: Pod, *rest: Any) -> PodPlan:
        made = plan(pod, *rest)
        if pod.name != "p7":
            return made
        bad = [g._replace(change=g.change._replace(directory=Unspeakable(g.change.directory))) for g in made.goals]
        return made._replace(goals=bad)

    node.reconciler._passes._planner.plan = planned
    node.run_pass("asked")
    assert halved(node) == {"p7"}, "the others went back"
    assert faults.counts == {"write": 1}
    assert reported == ["p7"]
