"""Holds best-effort work down while it makes services wait for CPU: `noisyNeighbour: suppress`.

A window in which a best-effort pod was a suspect lowers the ceiling to 3/4 of what best-effort work used; one without raises it by a third,
until it is no ceiling any more. CPU suppress takes the ceiling as one more bound of its budget, with its own least.
"""

from __future__ import annotations

from koordnri.control.finding import Cause, Finding, Resource
from koordnri.control.neighbours import Report

_LOWER = 0.75
LEAST_MILLI = 100


class BECeiling:
    """The ceiling, 1/1000 CPU; None: there is none."""

    def __init__(self) -> None:
        self.milli: int | None = None

    def window(self, report: Report, node_cpus: int) -> None:
        """Take what a complete window shows, on a node of so many CPUs."""
        if any(map(_blames_best_effort, report.findings)):
            used = report.be_used_cores * 1000
            bound = used if self.milli is None else min(used, self.milli)
            self.milli = max(round(bound * _LOWER), LEAST_MILLI)
        elif self.milli is not None:
            raised = round(self.milli / _LOWER)
            self.milli = raised if raised < node_cpus * 1000 else None


def _blames_best_effort(found: Finding) -> bool:
    waits = found.resource is Resource.CPU and found.cause is Cause.NEIGHBOUR
    return waits and any(one.best_effort for one in found.suspects)
