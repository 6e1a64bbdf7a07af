"""Handles the outcome of each file of a pass: stores it, counts it, and reports a failure once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from koordnri.host.cgroup.change import Outcome, Status
from koordnri.host.cgroup.writer import Writer
from koordnri.model import NodeState
from koordnri.model.log import Log
from koordnri.reconcile.drift import Drift
from koordnri.reconcile.drift_pace import MOST, RARELY_S
from koordnri.reconcile.failures import Failure, Failures
from koordnri.reconcile.owner import Owner, place_of
from koordnri.reconcile.plan import Goal
from koordnri.reconcile.planner import Planner
from koordnri.reconcile.schedule import Schedule
from koordnri.reconcile.undone import Undone, by_whom
from koordnri.reconcile.writing import Done
from koordnri.state.causes import Written
from koordnri.state.containment import Faults
from koordnri.state.ledger import Ledger


class PassStats:
    """Counters for `observe`."""

    def __init__(self) -> None:
        self.passes: Counter[str] = Counter()
        """trigger (change, control, pod, drift, sweep, asked) → passes"""
        self.writes: Counter[tuple[str, str]] = Counter()
        """(field, status of the outcome) → count; unchanged files are not counted"""
        self.failures: Counter[tuple[str, str, str]] = Counter()
        """(field, route, reason) → files that did not take their value"""
        self.last_pass_s = 0.0
        self.last_pass_cpu_s = 0.0
        """CPU time of its thread"""
        self.changed_to_verified_s = 0.0
        """s from the last change of policy or node until the last file was read back"""


class Settling:
    """Used by the reconcile thread.

    report   called with each file that does not take its value, even after retries
    """

    def __init__(
        self,
        planner: Planner,
        ledger: Ledger,
        schedule: Schedule,
        drift: Drift | None,
        report: Callable[[Failure], None],
        faults: Faults,
        log: Log,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stats = PassStats()
        self.undone = Undone(log)
        self.written: list[Written] = []
        """files that the last pass wrote"""
        self._planner = planner
        self._ledger = ledger
        self._schedule = schedule
        self._drift = drift
        self._failures = Failures(log, report)
        self._faults = faults
        self._monotonic = monotonic

    def settle(self, done: list[Done], writer: Writer, node: NodeState, *, drifts: bool) -> dict[str, set[str]]:
        """Handle the outcomes of a pass. Returns id of a container or pod → its fields that were refused, or wait.

        drifts   whether values that were sent and never read, and had to be written, were lost and not late
        """
        self.written = []
        unset: dict[str, set[str]] = {}
        for goal, outcome in done:
            try:
                self._settle(goal, outcome, writer, node, drifts=drifts)
            except Exception as error:  # noqa: BLE001  # a bug costs this file, and no other
                self._faults.caught("settle", error, goal.owner.pod)
            if outcome.status in (Status.REFUSED, Status.WAITS):
                unset.setdefault(goal.owner.id, set()).add(goal.name)
        self.undone.end()
        return unset

    def report(self, failure: Failure) -> None:
        """Something about a pod failed: retry it, or leave it to the sweep."""
        again_s = self._failures.add(failure)
        if again_s is not None:
            self._schedule.again(failure.owner.unit, self._monotonic() + again_s)

    def not_applied(self) -> list[Failure]:
        """Files that do not take their value, even after retries. Any thread may ask."""
        return [failure for failure in self._failures.reported() if self._is_there(failure.owner)]

    def forget_gone(self) -> None:
        """Drop what is known of owners that are gone."""
        self._failures.keep(self._is_there)

    def _is_there(self, owner: Owner) -> bool:
        if owner.container:
            return self._ledger.container(owner.id) is not None
        return owner.pod is None or self._ledger.pod(owner.id) is not None

    def _settle(self, goal: Goal, outcome: Outcome, writer: Writer, node: NodeState, *, drifts: bool) -> None:
        status = outcome.status
        if status is Status.FAULT:
            self._faults.counts["write"] += 1
        drifted = status is Status.WRITTEN and not goal.restores and _was_lost(goal, drifts=drifts)
        if status not in (Status.SAME, Status.GONE, Status.WAITS):
            self.stats.writes[goal.change.field.name, status.value] += 1
        if status in (Status.SAME, Status.WRITTEN):
            goal.owner.verified(goal.name, goal.change, outcome.after, restores=goal.restores)
            self._failures.mended(goal.change.directory, goal.name)
            if status is Status.WRITTEN:
                self._note_written(goal, outcome, writer if drifted else None, node)
            if goal.restores:
                self._ledger.restored(goal.owner.id, goal.name)
            elif status is Status.WRITTEN:
                self._ledger.wrote(goal.owner.id, goal.name, outcome.before)
        elif status is not Status.GONE:
            self._missed(goal, outcome)

    def _note_written(self, goal: Goal, outcome: Outcome, writer: Writer | None, node: NodeState) -> None:
        """For the history. `writer` is None unless the value had drifted. A file that drifts on and on is noted the first time in a row,
        and the second, fourth, eighth, …: else it would soon be all that the history has.
        """
        owner, by, times = goal.owner, "", 0
        if writer is not None:
            by, times = self._undone(goal, outcome, writer, node)
        if times & (times - 1) == 0:
            place = place_of(owner, goal.name)
            self.written.append(Written(owner.id, place, outcome.before, outcome.after, goal.restores, by, times))

    def _missed(self, goal: Goal, outcome: Outcome) -> None:
        change, name, status = goal.change, goal.name, outcome.status
        self._planner.missed(goal, outcome.after)
        if goal.controlled and status is Status.REFUSED:
            status = Status.WAITS  # such as memory.high on its way down; the controller sees how far it has come
        if status is not Status.WAITS:
            self.stats.failures[change.field.name, "write", status.value] += 1
        if not goal.restores and outcome.after is not None and outcome.after != outcome.before:
            # Written in part; it must be given back all the same.
            self._ledger.wrote(goal.owner.id, name, outcome.before)
        self.report(Failure(goal.owner, change.directory, name, change.value, status.value, outcome.error))

    def _undone(self, goal: Goal, outcome: Outcome, writer: Writer, node: NodeState) -> tuple[str, int]:
        """Somebody else wrote a file. If that goes on, it is reported once, and healed only now and then.

        Returns who wrote it, and how often in a row; 0 when that is unknown.
        """
        owner, change = goal.owner, goal.change
        by = by_whom(goal, outcome.before, self._ledger.originals(owner.id), node)
        times = 0 if self._drift is None else self._drift.times(change, writer)
        self.undone.add(goal, outcome, by, times)
        if times == MOST:
            error = f"undone by others ({by}: {outcome.before!r}) {times} times in a row; from now on it is healed every {RARELY_S:g} s"
            self.report(Failure(owner, change.directory, goal.name, change.value, "undone", error))
        if not goal.controlled and owner.drifted(goal.name, change.field):
            self._schedule.again(owner.unit, self._monotonic())
        return by, times


def _was_lost(goal: Goal, *, drifts: bool) -> bool:
    """Whether the file that was written had its value before. Call it before the goal is noted as verified."""
    if (
        goal.controlled
    ):  # whenever the runtime applies its stored spec, which has another value, the file is late and not lost
        return goal.owner.is_right(goal.name, goal.change)
    return goal.owner.was_read(goal.name, goal.change) or (drifts and goal.owner.had(goal.name, goal.change))
