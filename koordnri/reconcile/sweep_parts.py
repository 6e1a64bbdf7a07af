"""Which pods a sweep reads. Of pods that a watch covers, each sweep reads another sixth."""

from __future__ import annotations

from zlib import crc32

from koordnri.model import Pod
from koordnri.reconcile.drift import CLASSES, Drift
from koordnri.reconcile.planner import Planner

TURNS = 6
"""number of sweeps until each covered pod has been read once"""


class SweepParts:
    """Used by the reconcile thread."""

    def __init__(self, drift: Drift | None, planner: Planner) -> None:
        self._drift = drift
        self._planner = planner
        self._sweeps = 0

    def start_over(self) -> None:
        """The next sweep reads everything: the watch may have missed something."""
        self._sweeps = 0

    def next(self, pods: list[Pod]) -> tuple[list[Pod], dict[str, str]]:
        """A sweep begins. Returns the pods to read, and the resctrl groups of the other pods' containers, since no watch covers threads."""
        self._sweeps += 1
        if self._drift is None or self._sweeps == 1:
            return pods, {}
        turn, covered = self._sweeps % TURNS, self._drift.covered(self._planner.misses)
        rest = {p.id for p in pods if p.id in covered and crc32(p.id.encode()) % TURNS != turn}
        groups = dict(self._drift.groups_of(CLASSES)) if self.classes_rest else {}
        for pod_id in rest:
            groups.update(self._drift.groups_of(pod_id))
        return [p for p in pods if p.id not in rest], groups

    @property
    def classes_rest(self) -> bool:
        """Whether this sweep may skip the cgroups above the pods."""
        return self._sweeps % TURNS != 0 and self._drift is not None and self._drift.covers(CLASSES)
