"""Brings goals about: notes what was there, saves that, writes. A fault in it costs one pod, and none of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from koordnri.host.cgroup.change import Outcome, by_level
from koordnri.host.cgroup.writer import Writer
from koordnri.model import NodeState
from koordnri.reconcile.plan import Goal
from koordnri.reconcile.planner import Planner
from koordnri.state.containment import Faults


class Done(NamedTuple):
    """What a pass came to with one file."""

    goal: Goal
    outcome: Outcome


class Writing:
    """Used by the reconcile thread.

    save   puts the ledger's notes on disk at once
    """

    def __init__(self, planner: Planner, save: Callable[[], None], faults: Faults) -> None:
        self._planner = planner
        self._save = save
        self._faults = faults

    def write(self, goals: Sequence[Goal], writer: Writer, node: NodeState) -> list[Done]:
        """What came of each goal; of those of a pod in which a fault is, nothing.

        goals   one per file
        """
        try:
            return self._write(goals, writer, node)
        except Exception as error:  # noqa: BLE001  # found again below, with the pod in which it is
            found = error
        units: dict[str, list[Goal]] = {}
        for goal in goals:
            units.setdefault(goal.owner.unit, []).append(goal)
        done: list[Done] = []
        before = self._faults.counts["write"]
        for its in units.values():
            with self._faults.within("write", its[0].owner.pod):
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
