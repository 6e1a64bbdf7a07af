"""Counts values that somebody else overwrote and a pass has healed: how often, which field, and by whom, as far as the value shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from koordnri.host.cgroup.change import Outcome
from koordnri.host.cgroup.spelling import form
from koordnri.model import NodeState
from koordnri.model.log import Log
from koordnri.reconcile.plan import Goal


def by_whom(goal: Goal, found: Any, originals: Mapping[str, Any], node: NodeState) -> str:
    """Who writes such a value. The kernel does not say who wrote it.

    systemd   the unit's value, which is what kubelet asked for: with the systemd driver, on a pod's or class's cgroup
    kubelet   the same with the cgroupfs driver; on a container, what kubelet asked for, without our decision
    runtime   the value in its stored spec of the container, if ours differs by now
    unknown   anything else: a person, another agent

    originals   field name → what its file held before we first wrote it
    """
    field = goal.change.field
    return goal.owner.who_writes(goal.name, field, form(field, node.cgroup_version), found, originals, node)


class Undone:
    """Counts, and logs one line per pass, field and writer. Used by one thread."""

    def __init__(self, log: Log) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        """(field, writer) → files"""
        self._log = log
        self._pass: dict[tuple[str, str], dict[str, Any]] = {}

    def add(self, goal: Goal, outcome: Outcome, by: str, times: int) -> None:
        """A file has its value again.

        times   how often in a row so far
        """
        kind = goal.change.field.name, by
        self.counts[kind] += 1
        line = self._pass.setdefault(kind, {"files": 0, "times": 0})
        line["files"] += 1
        if times >= line["times"]:
            example = {"directory": goal.change.directory, "found": outcome.before, "wanted": goal.change.value}
            line |= example | {"times": times}

    def end(self) -> None:
        """The pass has ended. A file is logged the first time in a row, and the second, fourth, eighth, …"""
        for (field, by), line in self._pass.items():
            if line["times"] & (line["times"] - 1) == 0:
                self._log.info("drift_healed", field=field, by=by, **line)
        self._pass.clear()
