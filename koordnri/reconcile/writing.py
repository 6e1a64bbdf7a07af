"""Writes goals: stores the originals, saves them, then writes. A bug costs one pod, and no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from koordnri.host.cgroup.change import Outcome, by_level
from koordnri.host.cgroup.writer import Writer
from koordnri.model import NodeState
from koordnri.reconcile.originals import Originals
from koordnri.reconcile.plan import Goal
from koordnri.state.containment import Faults


class Done(NamedTuple):
    """Outcome of a pass for one file."""

    goal: Goal
    outcome: Outcome


class GoalWriter:
    """Used by the reconcile thread.

    save   saves the ledger's notes at once
    """

    def __init__(self, originals: Originals, save: Callable[[], None], faults: Faults) -> None:
        self._originals = originals
        self._save = save
        self._faults = faults

    def write(self, goals: Sequence[Goal], writer: Writer, node: NodeState) -> list[Done]:
        """Outcomes of the goals, without those of a pod with a bug.

        goals   at most one per file
        """
        try:
            return self._write(goals, writer, node)
        except Exception as error:  # noqa: BLE001  # found again below, together with its pod
            found = error
        units: dict[str, list[Goal]] = {}
        for goal in goals:
            units.setdefault(goal.owner.unit, []).append(goal)
        done: list[Done] = []
        before = self._faults.counts["write"]
        for its in units.values():
            with self._faults.within("write", its[0].owner.pod):
                done += self._write(its, writer, node)
        if self._faults.counts["write"] == before:  # it belongs to no single pod
            self._faults.caught("write", found)
        return done

    def _write(self, goals: Sequence[Goal], writer: Writer, node: NodeState) -> list[Done]:
        by_target = {goal.change[:3]: goal for goal in goals}
        if self._originals.note(goals, writer, node):
            self._save()
        outcomes = writer.apply(by_level([goal.change for goal in goals]))
        return [Done(by_target[outcome.change[:3]], outcome) for outcome in outcomes]
