"""Brings goals about: notes what was there, saves that, writes. A fault in it costs one pod, and none of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from koordnri.host.cgroup.change import Outcome, by_level
from koordnri.host.cgroup.writer import Writer
from koordnri.model import NodeState, Pod
from koordnri.reconcile.plan import Goal
from koordnri.reconcile.planner import Planner
from koordnri.state.containment import Faults


class Done(NamedTuple):
    """What a pass came to with one file."""

    goal: Goal
    outcome: Outcome


def pod_id_of(goal: Goal) -> str:
    """The pod, or the class, that a goal is for."""
    return goal.owner.id if isinstance(goal.owner, Pod) else goal.owner.pod_id


class Writing:
    """Used by the reconcile thread.

    save   puts the ledger's notes on disk at once
    """

    def __init__(self, planner: Planner, save: Callable[[], None], faults: Faults) -> None:
        self._planner = planner
        self._save = save
        self._faults = faults

    def write(self, goals: Sequence[Goal], pods: Mapping[str, Pod], writer: Writer, node: NodeState) -> list[Done]:
        """What came of each goal; of those of a pod in which a fault is, nothing.

        goals   one per file
        pods    by id, for who is told of a fault
        """
        try:
            return self._write(goals, writer, node)
        except Exception as error:  # noqa: BLE001  # found again below, with the pod in which it is
            found = error
        by_pod: dict[str, list[Goal]] = {}
        for goal in goals:
            by_pod.setdefault(pod_id_of(goal), []).append(goal)
        done: list[Done] = []
        before = self._faults.counts["write"]
        for pod_id, its in by_pod.items():
            with self._faults.within("write", pods.get(pod_id)):
                done += self._write(its, writer, node)
        if self._faults.counts["write"] == before:  # it was in no single pod
            self._faults.caught("write", found)
        return done

    def _write(self, goals: Sequence[Goal], writer: Writer, node: NodeState) -> list[Done]:
        by_target = {goal.change[:3]: goal for goal in goals}
        if self._planner.note_before(goals, writer, node):
            self._save()
        outcomes = writer.apply(by_level(goal.change for goal in goals))
        return [Done(by_target[outcome.change[:3]], outcome) for outcome in outcomes]
